import { describe, expect, it } from 'vitest';
import { K8TS } from '../support/cluster.ts';
import { sharedCluster } from '../support/shared-cluster.ts';

const cluster = sharedCluster();

describe('k8ts drill', () => {
  it('kills each component: Pods are kept, the Service answers, and what was missed is made up for', async () => {
    const args = ['drill', '--root', cluster.paths.root];
    const { stdout } = await cluster.network.run(K8TS, args, { acceptExitCodes: [0, 1] });
    const rows = stdout.split('\n').filter((line) => / (kept|LOST) /.test(line));
    expect(rows.map((line) => line.split(' ')[0])).toEqual([
      'apiserver',
      'scheduler',
      'controller-manager',
      'kubelet',
      'proxy',
      'containerd',
    ]);
    for (const row of rows) expect(row).toMatch(/ kept +\d+ answers +\d+\.\d s /);
    expect(await cluster.kubectl('get', 'namespaces')).not.toContain('k8ts-drill');
  });
});
