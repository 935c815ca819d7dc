import { describe, expect, it } from 'vitest';
import { NODE_NAME } from '../support/cluster.ts';
import { eventually } from '../support/eventually.ts';
import { podOf, shell } from '../support/pods.ts';
import { sharedCluster } from '../support/shared-cluster.ts';
import { testNamespace } from '../support/test-namespace.ts';

const cluster = sharedCluster();
const ns = testNamespace(cluster, 'metrics');

describe('kubectl top', () => {
  it('shows what the node uses', async () => {
    const line = await eventually('the metrics are there', async () => {
      const table = await cluster.kubectl('top', 'node', '--no-headers');
      return table.split('\n').find((row) => row.startsWith(NODE_NAME));
    });
    expect(line).toMatch(/^\S+ +\d+m +\d+% +\d+Mi +\d+%/);
  });

  it('shows what Pods use, by container, and who is the busiest', async () => {
    const hold = 'head -c 20000000 /dev/zero | tail -c 20000000 | sleep 3600';
    await ns.apply(
      podOf('worker', [
        shell('busy', 'while :; do :; done', { resources: { limits: { cpu: '200m' } } }),
        shell('idle', hold),
      ]),
    );
    const rows = await eventually('the Pod is measured', async () => {
      const table = await ns.kubectl('top', 'pod', 'worker', '--containers', '--no-headers');
      const cells = table
        .trim()
        .split('\n')
        .map((row) => row.split(/ +/));
      const cpu = (name: string) =>
        Number.parseInt(cells.find((c) => c[1] === name)?.[2] ?? '0', 10);
      return cpu('busy') > 50 && cells.length === 2 ? cells : undefined;
    });
    const busy = rows.find(([, container]) => container === 'busy');
    // Half more than the limit would be a wrong figure, not a burst.
    expect(Number.parseInt(busy?.[2] ?? '', 10)).toBeLessThan(300);
    expect(rows.map(([, container]) => container).toSorted()).toEqual(['busy', 'idle']);
    const sorted = await ns.kubectl('top', 'pod', '--sort-by=cpu', '--no-headers');
    expect(sorted).toMatch(/^worker /);
    await ns.kubectl('label', 'pod', 'worker', 'role=busy');
    const top = (role: string) => ns.kubectl('top', 'pod', '-l', `role=${role}`, '--no-headers');
    await eventually('the Pod is found by its label', async () =>
      (await top('busy')).match(/^worker /),
    );
    expect(await top('none')).toBe('');
    await expect(ns.kubectl('top', 'pod', 'none')).rejects.toThrow('"metrics/none" not found');
  });
});

describe('a HorizontalPodAutoscaler', () => {
  it('adds Pods while the ones that are there are busy', async () => {
    const labels = { app: 'loaded' };
    await ns.apply({
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: { name: 'loaded' },
      spec: {
        replicas: 1,
        selector: { matchLabels: labels },
        template: {
          metadata: { labels },
          spec: {
            terminationGracePeriodSeconds: 0,
            containers: [
              shell('busy', 'while :; do :; done', {
                resources: { requests: { cpu: '50m' }, limits: { cpu: '100m' } },
              }),
            ],
          },
        },
      },
    });
    await ns.kubectl('autoscale', 'deployment', 'loaded', '--min=1', '--max=2', '--cpu=50%');
    await ns.kubectl(
      'wait',
      'deployment/loaded',
      '--for=jsonpath={.spec.replicas}=2',
      '--timeout=150s',
    );
    await ns.kubectl('delete', 'deployment,hpa', 'loaded');
  });
});
