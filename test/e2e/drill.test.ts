import { describe, expect, it } from 'vitest';
import { sharedCluster } from '../support/shared-cluster.ts';

const cluster = sharedCluster();

describe('k8ts drill', () => {
  it('kills each component: Pods are kept, the Service answers, and what was missed is made up for', async () => {
    const { stdout } = await cluster.k8ts('drill');
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
