import { describe, expect, it } from 'vitest';
import { fc } from '../../test/support/properties.ts';
import {
  DAEMON_SETS,
  DEPLOYMENTS,
  JOBS,
  NODES,
  PODS,
  REPLICA_SETS,
  REPLICATION_CONTROLLERS,
  type ResourceType,
  STATEFUL_SETS,
} from '../api/resource-types.ts';
import { daemonSetController } from './daemonset/daemonset-controller.ts';
import { targetNode } from './daemonset/nodes.ts';
import { deploymentController } from './deployment/deployment-controller.ts';
import { jobController } from './job/job-controller.ts';
import { FOREIGN, Stormy, weather } from './model.fake.ts';
import { replicaSetController, replicationController } from './replicaset/replicaset.ts';
import { statefulSetController } from './statefulset/statefulset-controller.ts';

const key = { namespace: 'default', name: 'web' };
const labels = { app: 'web' };
const RUNS = { numRuns: 12 };

type Step =
  | { readonly replicas: number }
  | { readonly image: string }
  | { readonly kill: number }
  | { readonly restart: true };

const scale = fc.record({ replicas: fc.integer({ min: 0, max: 5 }) });
const image = fc.record({ image: fc.constantFrom('a', 'b', 'c') });
const kill = fc.record({ kill: fc.nat(4) });
const restart = fc.constant({ restart: true } as const);
const stepsOf = (...kinds: fc.Arbitrary<Step>[]) =>
  fc.array(fc.oneof(...kinds), { minLength: 1, maxLength: 5 });

const template = (image: string) => ({
  metadata: { labels },
  spec: { containers: [{ name: 'c', image }] },
});

/** A Pod of the same labels that somebody else manages. */
function seedForeign(stormy: Stormy): void {
  const ownerReferences = [
    { apiVersion: 'x/v1', kind: 'Other', name: 'o', uid: 'o', controller: true },
  ];
  stormy.client.seed(PODS, {
    metadata: { namespace: 'default', name: FOREIGN, labels, ownerReferences },
    spec: { containers: [] },
  } as never);
}

/** Applies the steps; answers what was asked for last. */
async function live(
  stormy: Stormy,
  type: ResourceType<unknown>,
  steps: readonly Step[],
  onScale: (replicas: number) => void = () => {},
): Promise<{ image: string }> {
  let wanted = 'v0';
  for (const step of steps) {
    if ('restart' in step) await stormy.restart();
    else if ('kill' in step) {
      const victim = stormy.active[step.kill % Math.max(1, stormy.active.length)];
      if (victim)
        await stormy.do(() => stormy.client.delete(PODS, victim.metadata)).catch(() => {});
    } else {
      if ('replicas' in step) onScale(step.replicas);
      else wanted = step.image;
      const change = 'replicas' in step ? step : { template: template(step.image) };
      const body = { spec: change };
      await stormy.do(() => stormy.client.patch(type, key, { type: 'merge', body }));
    }
    await new Promise((resolve) => setTimeout(resolve, 6));
  }
  return { image: wanted };
}

const images = (stormy: Stormy) => stormy.active.map(({ spec }) => spec?.containers[0]?.image);
const filled = (count: number, image: string) => Array.from({ length: count }, () => image);

function workload(spec: object) {
  return {
    metadata: key,
    spec: { replicas: 3, selector: { matchLabels: labels }, template: template('v0'), ...spec },
  } as never;
}

describe('in any weather', () => {
  it.each([
    { type: REPLICA_SETS as ResourceType<unknown>, factory: replicaSetController, more: {} },
    {
      type: REPLICATION_CONTROLLERS as ResourceType<unknown>,
      factory: replicationController,
      more: { selector: labels },
    },
  ])(
    'a $type.kind has the Pods that it asks for, and never one too many',
    async ({ type, factory, more }) => {
      await fc.assert(
        fc.asyncProperty(stepsOf(scale, kill, restart), weather, async (steps, air) => {
          const stormy = new Stormy([factory], air);
          let [ceiling, most, last] = [3, 0, 3];
          seedForeign(stormy);
          stormy.client.seed(type, workload(more));
          stormy.watchOver = () => {
            most = Math.max(most, stormy.active.length - ceiling);
          };
          stormy.start();
          try {
            await live(stormy, type, steps, (replicas) => {
              last = replicas;
              ceiling = Math.max(ceiling, replicas);
            });
            await stormy.settle(() => expect(stormy.ready).toHaveLength(last));
            expect(most).toBeLessThanOrEqual(0);
          } finally {
            await stormy.stop();
          }
        }),
        RUNS,
      );
    },
  );

  it('a Deployment reaches its template and size, within its surge', async () => {
    const strategy = { type: 'RollingUpdate', rollingUpdate: { maxSurge: 1, maxUnavailable: 1 } };
    await fc.assert(
      fc.asyncProperty(stepsOf(scale, image, kill, restart), weather, async (steps, air) => {
        const stormy = new Stormy([deploymentController, replicaSetController], air);
        let [ceiling, most, last] = [4, 0, 3];
        seedForeign(stormy);
        stormy.client.seed(DEPLOYMENTS, workload({ strategy }));
        stormy.watchOver = () => {
          most = Math.max(most, stormy.active.length - ceiling);
        };
        stormy.start();
        try {
          const { image } = await live(stormy, DEPLOYMENTS, steps, (replicas) => {
            last = replicas;
            ceiling = Math.max(ceiling, replicas + 1);
          });
          await stormy.settle(async () => {
            expect(images(stormy)).toEqual(filled(last, image));
            const { status, metadata } = await stormy.client.get(DEPLOYMENTS, key);
            expect(status?.observedGeneration).toBe(metadata.generation);
            expect(status?.availableReplicas ?? 0).toBe(last);
          });
          expect(most).toBeLessThanOrEqual(0);
        } finally {
          await stormy.stop();
        }
      }),
      RUNS,
    );
  });

  it('a rollout never has fewer Pods ready than maxUnavailable allows', async () => {
    const strategy = { type: 'RollingUpdate', rollingUpdate: { maxSurge: 1, maxUnavailable: 1 } };
    await fc.assert(
      fc.asyncProperty(stepsOf(image, restart), weather, async (steps, air) => {
        const stormy = new Stormy([deploymentController, replicaSetController], air);
        stormy.client.seed(DEPLOYMENTS, workload({ strategy }));
        stormy.start();
        try {
          // Pods of which nobody has told the Deployment yet count as unavailable, and go first.
          await stormy.settle(async () => {
            const { status } = await stormy.client.get(DEPLOYMENTS, key);
            expect(status?.availableReplicas).toBe(3);
          });
          stormy.storm();
          let fewest = 3;
          stormy.watchOver = () => {
            fewest = Math.min(fewest, stormy.ready.length);
          };
          const { image } = await live(stormy, DEPLOYMENTS, steps);
          await stormy.settle(() => expect(images(stormy)).toEqual(filled(3, image)));
          expect(fewest).toBeGreaterThanOrEqual(2);
        } finally {
          await stormy.stop();
        }
      }),
      RUNS,
    );
  });

  it('a StatefulSet keeps its ordinals without a gap, and its order', async () => {
    await fc.assert(
      fc.asyncProperty(stepsOf(scale, image, kill, restart), weather, async (steps, air) => {
        const stormy = new Stormy([statefulSetController], air);
        let [ceiling, last] = [3, 3];
        const strange: string[] = [];
        stormy.client.seed(STATEFUL_SETS, workload({ serviceName: 'web' }));
        stormy.watchOver = () => {
          for (const { metadata } of stormy.pods) {
            const ordinal = Number(metadata.name.slice('web-'.length));
            if (!(ordinal >= 0 && ordinal < ceiling)) strange.push(metadata.name);
          }
        };
        stormy.start();
        try {
          const { image } = await live(stormy, STATEFUL_SETS, steps, (replicas) => {
            last = replicas;
            ceiling = Math.max(ceiling, replicas);
          });
          await stormy.settle(() => {
            const names = stormy.ready.map(({ metadata }) => metadata.name).sort();
            expect(names).toEqual(Array.from({ length: last }, (_, i) => `web-${i}`));
            expect(images(stormy)).toEqual(filled(last, image));
          });
          expect(strange).toEqual([]);
        } finally {
          await stormy.stop();
        }
      }),
      RUNS,
    );
  });

  it('a DaemonSet has one Pod on each node, never two', async () => {
    const nodes = ['n1', 'n2', 'n3'];
    await fc.assert(
      fc.asyncProperty(stepsOf(image, kill, restart), weather, async (steps, air) => {
        const stormy = new Stormy([daemonSetController], air);
        for (const name of nodes) stormy.client.seed(NODES, { metadata: { name } } as never);
        seedForeign(stormy);
        stormy.client.seed(DAEMON_SETS, workload({ replicas: undefined }));
        let most = 0;
        const perNode = () =>
          Object.values(Object.groupBy(stormy.active, (p) => targetNode(p.spec)));
        stormy.watchOver = () => {
          most = Math.max(most, ...perNode().map((pods) => pods?.length ?? 0));
        };
        stormy.start();
        try {
          const { image } = await live(stormy, DAEMON_SETS, steps);
          await stormy.settle(() => {
            expect(stormy.ready.map(({ spec }) => targetNode(spec)).sort()).toEqual(nodes);
            expect(images(stormy)).toEqual(filled(3, image));
          });
          expect(most).toBeLessThanOrEqual(1);
        } finally {
          await stormy.stop();
        }
      }),
      RUNS,
    );
  });

  it('a Job counts each Pod once, runs no more than it may, and ends', async () => {
    const shape = fc.record({
      completions: fc.integer({ min: 1, max: 6 }),
      parallelism: fc.integer({ min: 1, max: 4 }),
      completionMode: fc.constantFrom('NonIndexed', 'Indexed'),
    });
    await fc.assert(
      fc.asyncProperty(shape, stepsOf(restart), weather, async (spec, steps, air) => {
        const stormy = new Stormy([jobController], air);
        let most = 0;
        stormy.outcomeOf = () => 'Succeeded';
        stormy.client.seed(JOBS, workload({ replicas: undefined, backoffLimit: 6, ...spec }));
        stormy.watchOver = () => {
          most = Math.max(most, stormy.active.length);
        };
        stormy.start();
        try {
          await live(stormy, JOBS, steps);
          await stormy.settle(async () => {
            const { status } = await stormy.client.get(JOBS, key);
            expect(status?.conditions?.at(-1)).toMatchObject({
              type: 'Complete',
              status: 'True',
            });
            expect(status?.succeeded).toBe(spec.completions);
            const held = stormy.pods.filter(({ metadata }) => metadata.finalizers?.length);
            expect(held).toEqual([]);
          });
          expect(stormy.pods).toHaveLength(spec.completions);
          expect(most).toBeLessThanOrEqual(spec.parallelism);
        } finally {
          await stormy.stop();
        }
      }),
      RUNS,
    );
  });

  it('a Job that a Pod fails starts no other Pod', async () => {
    const rules = [{ action: 'FailJob', onPodConditions: [{ type: 'Ready', status: 'False' }] }];
    await fc.assert(
      fc.asyncProperty(stepsOf(restart), weather, async (steps, air) => {
        const stormy = new Stormy([jobController], air);
        stormy.outcomeOf = () => 'Failed';
        const spec = { replicas: undefined, backoffLimit: 6, podFailurePolicy: { rules } };
        stormy.client.seed(JOBS, workload(spec));
        stormy.start();
        try {
          await live(stormy, JOBS, steps);
          await stormy.settle(async () => {
            const { status } = await stormy.client.get(JOBS, key);
            expect(status?.conditions?.at(-1)).toMatchObject({
              type: 'Failed',
              reason: 'PodFailurePolicy',
            });
          });
          expect(stormy.pods).toHaveLength(1);
        } finally {
          await stormy.stop();
        }
      }),
      RUNS,
    );
  });
});
