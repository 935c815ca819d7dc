import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { NODE_NAME } from '../support/cluster.ts';
import { inPhase, podOf, shell } from '../support/pods.ts';
import { sharedCluster } from '../support/shared-cluster.ts';
import { testNamespace } from '../support/test-namespace.ts';

const cluster = sharedCluster();
const ns = testNamespace(cluster, 'admission');
let millis = 0;
beforeAll(async () => {
  const { status } = await cluster.get('node', NODE_NAME);
  millis = Number(status.allocatable.cpu) * 1000;
});

/** A Pod bound to the node past the scheduler, which asks for a share of its processors. */
function bound(name: string, share: number, spec: Record<string, unknown> = {}) {
  const requests = { cpu: `${Math.floor(millis * share)}m` };
  const main = shell('main', 'sleep 3600', { resources: { requests } });
  return podOf(name, [main], { nodeName: NODE_NAME, ...spec });
}

describe('a Pod that is bound to the node', () => {
  afterAll(() => cluster.kubectl('label', 'node', NODE_NAME, 'colour-'));

  it('is refused when the node has too little left', async () => {
    await ns.apply(bound('large', 0.6));
    await inPhase(ns, 'large', 'Running');
    await ns.apply(bound('more', 0.6));
    const { status } = await inPhase(ns, 'more', 'Failed');
    expect(status).toMatchObject({
      reason: 'OutOfcpu',
      message: expect.stringMatching(
        /^Pod was rejected: Node didn't have enough resource: cpu, requested: \d+, used: \d+, capacity: \d+$/,
      ),
    });
    await ns.kubectl('delete', 'pod', 'more');
  });

  it('ends others when the node cannot do without it', async () => {
    await ns.apply(bound('critical', 0.6, { priorityClassName: 'system-node-critical' }));
    await inPhase(ns, 'critical', 'Running');
    const { status } = await inPhase(ns, 'large', 'Failed');
    expect(status).toMatchObject({
      reason: 'Preempting',
      message: 'Preempted in order to admit critical pod',
    });
    expect(status.conditions).toContainEqual(
      expect.objectContaining({ type: 'DisruptionTarget', reason: 'TerminationByKubelet' }),
    );
    await ns.kubectl('delete', 'pod', 'critical', 'large');
  });

  it('is taken for a label that the node got a moment ago, refused for one that it has not', async () => {
    await ns.apply(bound('red', 0, { nodeSelector: { colour: 'red' } }));
    const { status } = await inPhase(ns, 'red', 'Failed');
    expect(status.reason).toBe('NodeAffinity');
    await cluster.kubectl('label', 'node', NODE_NAME, 'colour=blue');
    await ns.apply(bound('blue', 0, { nodeSelector: { colour: 'blue' } }));
    await inPhase(ns, 'blue', 'Running');
    await ns.kubectl('delete', 'pod', 'red', 'blue');
  });
});
