import { setImmediate as nextTurn } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { NODES, PODS } from '../../src/api/resource-types.ts';
import type { Node, Pod } from '../../src/api/types.ts';
import type { Action } from '../../src/client/client.fake.ts';
import { makePod } from '../../src/scheduler/objects.fake.ts';
import { runningScheduler } from '../../src/scheduler/running.fake.ts';
import { FakeClock } from '../../src/util/clock.fake.ts';
import { fc } from '../support/properties.ts';
import { anyApp, anyNode, anyPodSpec, buildNode } from '../support/random-clusters.ts';
import { brokenRules, feasibleNodes } from '../support/reference-scheduler.ts';

const step = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({ kind: fc.constant('pod' as const), app: anyApp, spec: anyPodSpec }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('delete' as const), which: fc.nat() }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('node' as const), node: anyNode }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('remove' as const), which: fc.nat() }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('cordon' as const), which: fc.nat() }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('fail' as const), count: fc.nat(3) }) },
);
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

/** A scheduler whose every binding is checked against the rules as the API server then stands. */
function watched() {
  const clock = new FakeClock();
  const scheduler = runningScheduler(clock);
  const { client } = scheduler;
  const broken: string[] = [];
  let failures = 0;
  const cluster = () => ({
    nodes: client.all(NODES),
    pods: client.all(PODS).filter((pod) => pod.spec?.nodeName),
  });
  const judge = ({ key, body }: Action) => {
    const { name } = (body as { target: { name: string } }).target;
    const pod = client.all(PODS).find(({ metadata }) => `default/${metadata.name}` === key);
    const node = client.all(NODES).find(({ metadata }) => metadata.name === name);
    if (!pod || !node) return;
    for (const rule of brokenRules(cluster(), pod, node)) broken.push(`${key} on ${name}: ${rule}`);
  };
  client.react((action) => {
    if (action.subresource !== 'binding') return undefined;
    if (failures > 0) {
      failures--;
      return new Error('connection lost');
    }
    judge(action);
    return undefined;
  });
  const fail = (count: number) => {
    failures = count;
  };
  return { ...scheduler, clock, cluster, broken, fail };
}

type Watched = ReturnType<typeof watched>;

const pick = <T>(list: readonly T[], which: number): T | undefined => list[which % list.length];

async function removeNode({ client }: Watched, node: Node): Promise<void> {
  await client.delete(NODES, node.metadata);
  // As the controllers do: what was there is gone, too.
  for (const pod of client.all(PODS)) {
    if (pod.spec?.nodeName === node.metadata.name) await kill(client, pod);
  }
}

function kill(client: Watched['client'], { metadata }: Pod): Promise<unknown> {
  return client.delete(PODS, metadata, { gracePeriodSeconds: 0 });
}

async function take(world: Watched, made: Step, i: number): Promise<void> {
  const { client } = world;
  switch (made.kind) {
    case 'pod': {
      // Nobody is worth more: no Pod goes to make room.
      const spec = { ...made.spec, priority: 0 };
      await client.create(PODS, makePod(`p${i}`, { labels: { app: made.app }, spec }));
      return;
    }
    case 'node':
      await client.create(NODES, buildNode(`n${i}`, made.node));
      return;
    case 'fail':
      world.fail(made.count);
      return;
    case 'delete': {
      const pod = pick(client.all(PODS), made.which);
      if (pod) await kill(client, pod);
      return;
    }
    case 'remove': {
      const node = pick(client.all(NODES), made.which);
      if (node) await removeNode(world, node);
      return;
    }
    case 'cordon': {
      const node = pick(client.all(NODES), made.which);
      if (node)
        await client.update(NODES, { ...node, spec: { ...node.spec, unschedulable: true } });
    }
  }
}

/** Time goes by, and everybody comes to their turn. */
async function pass({ clock }: Watched, ms: number): Promise<void> {
  await clock.advance(ms);
  for (let turn = 0; turn < 3; turn++) await nextTurn();
}

async function live(world: Watched, steps: readonly Step[]): Promise<void> {
  for (const [i, made] of steps.entries()) {
    // What is decided is written before the ground is taken away: nobody can foresee that.
    if (made.kind === 'cordon' || made.kind === 'remove') await pass(world, 0);
    await take(world, made, i);
    // Some steps fall together, some are apart.
    if (i % 3 === 0) await pass(world, 700);
  }
  // Longer than the longest back-offs of all bindings that may still fail, shorter than the flush that would hide a hint
  // that was missed.
  for (let second = 0; second < 60; second++) await pass(world, 1000);
}

/** Pods that wait although there are nodes for them. */
function fitting({ client, cluster }: Watched): [string, string[]][] {
  return client
    .all(PODS)
    .filter((pod) => !pod.spec?.nodeName)
    .map((pod): [string, string[]] => [pod.metadata.name, feasibleNodes(cluster(), pod)])
    .filter(([, nodes]) => nodes.length > 0);
}

describe('a scheduler through random histories', () => {
  it('breaks no rule, fills no node over its size, and leaves no Pod waiting that fits', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 10, maxLength: 60 }), async (steps) => {
        const world = watched();
        try {
          await live(world, steps);
          expect(world.broken).toEqual([]);
          expect(fitting(world)).toEqual([]);
        } finally {
          await world.stop();
        }
      }),
      { numRuns: 60 },
    );
  });
});
