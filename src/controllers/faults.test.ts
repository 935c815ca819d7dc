import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ApiError } from '../api/errors.ts';
import { DEPLOYMENTS, PODS } from '../api/resource-types.ts';
import type { Action } from '../client/client.fake.ts';
import { deploymentController } from './deployment/deployment-controller.ts';
import { replicaSetController } from './replicaset/replicaset.ts';
import { World } from './world.fake.ts';

const key = { namespace: 'default', name: 'web' };

const deployment = {
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  metadata: key,
  spec: {
    replicas: 3,
    selector: { matchLabels: { app: 'web' } },
    template: { metadata: { labels: { app: 'web' } }, spec: { containers: [] } },
    strategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge: 1, maxUnavailable: 1 } },
  },
};

const step = fc.oneof(
  fc.record({ replicas: fc.integer({ min: 0, max: 5 }) }),
  fc.record({ image: fc.constantFrom('a', 'b', 'c') }),
);

/** Refuses some of the controllers' writes; which ones is decided by `faults`, over and over. */
function unreliable(faults: readonly boolean[]): (action: Action) => Error | undefined {
  let at = 0;
  return (action) => {
    const ours = action.resource === 'replicasets' || action.resource === 'pods';
    if (!ours || action.subresource === 'status') return undefined;
    const fails = faults[at++ % faults.length];
    return fails ? new ApiError('InternalError', 'injected') : undefined;
  };
}

describe('Deployments on an unreliable API server', () => {
  it('reach what was asked for last, and never have more Pods than replicas and surge allow', async () => {
    const faults = fc
      .array(fc.boolean(), { minLength: 2, maxLength: 6 })
      .filter((f) => f.includes(false));
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 4 }), faults, runOnce),
      { numRuns: 12 },
    );
  }, 60_000);
});

async function runOnce(
  steps: readonly ({ replicas: number } | { image: string })[],
  faults: readonly boolean[],
): Promise<void> {
  const world = new World();
  world.client.seed(DEPLOYMENTS, deployment);
  world.start([deploymentController, replicaSetController]);
  world.client.react(unreliable(faults));
  let replicas = 3;
  let ceiling = 4;
  let most = 0;
  let running = true;
  const kubelet = (async () => {
    while (running) {
      await world.setPods((pod) => pod.status?.phase === undefined, { ready: true });
      most = Math.max(most, world.client.all(PODS).length - ceiling);
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
  })();
  try {
    for (const change of steps) {
      if ('replicas' in change) replicas = change.replicas;
      ceiling = Math.max(ceiling, replicas + 1);
      const containers = 'image' in change ? [{ name: 'c', image: change.image }] : undefined;
      const spec = containers ? { template: { spec: { containers } } } : change;
      await world.client.patch(DEPLOYMENTS, key, { type: 'merge', body: { spec } });
    }
    await world.until(async () => {
      const { status, metadata } = await world.client.get(DEPLOYMENTS, key);
      expect(status?.observedGeneration).toBe(metadata.generation);
      expect(status?.updatedReplicas ?? 0).toBe(replicas);
      expect(world.client.all(PODS)).toHaveLength(replicas);
    });
    expect(most).toBeLessThanOrEqual(0);
  } finally {
    running = false;
    await kubelet;
    await world.stop();
  }
}
