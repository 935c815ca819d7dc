import { describe, expect, it } from 'vitest';
import { DRILL_LIMIT_MS, drillRows } from '../support/drill.ts';
import { sharedCluster } from '../support/shared-cluster.ts';

const cluster = sharedCluster();

/** What kubectl says while a part is gone. */
const SAID: Readonly<Record<string, RegExp>> = {
  apiserver: /refused/,
  scheduler: /^drill-scheduler 0\/1 Pending /,
  'controller-manager': /^steady 2\/3 /,
  kubelet: /^drill-kubelet 0\/1 Pending /,
  proxy: /^drill-proxy ClusterIP 10\./,
  containerd: /^drill-containerd 0\/1 /,
};

describe('k8ts drill', () => {
  it(
    'kills each component: Pods are kept, the Service answers, kubectl tells, and what was missed is made up for',
    async () => {
      const rows = await drillRows(cluster);
      expect(rows.map(({ part }) => part)).toEqual(Object.keys(SAID));
      for (const { part, pods, service, back, said } of rows) {
        expect(pods).toBe('kept');
        expect(service).toMatch(/^\d+ answers$/);
        expect(back).toMatch(/^\d+\.\d s$/);
        expect(said).toMatch(SAID[part] ?? /^$/);
      }
      expect(await cluster.kubectl('get', 'namespaces')).not.toContain('k8ts-drill');
    },
    DRILL_LIMIT_MS,
  );
});
