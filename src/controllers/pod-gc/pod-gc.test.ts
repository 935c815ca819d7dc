import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { NODES, PODS } from '../../api/resource-types.ts';
import type { Pod } from '../../api/types.ts';
import { FakeClient } from '../../client/client.fake.ts';
import { FakeClock } from '../../util/clock.fake.ts';
import { World } from '../world.fake.ts';
import { podGcController, surplusTerminated } from './pod-gc-controller.ts';

const MINUTE = 60_000;

describe('surplusTerminated', () => {
  const pod = (name: string, phase: string, minute: number, more: object = {}) =>
    ({
      metadata: { name, creationTimestamp: new Date(minute * MINUTE).toISOString(), ...more },
      status: { phase },
    }) as unknown as Pod;
  const pods = [
    pod('new', 'Failed', 9),
    pod('runs', 'Running', 1),
    pod('old', 'Succeeded', 2),
    pod('goes', 'Failed', 0, { deletionTimestamp: 'now' }),
    pod('older', 'Failed', 1),
  ];
  it.each([
    [0, []],
    [1, ['older', 'old']],
    [2, ['older']],
    [3, []],
  ])('with %i kept takes the oldest that have ended: %j', (threshold, names) => {
    expect(surplusTerminated(pods, threshold).map(({ metadata }) => metadata.name)).toEqual(names);
  });
});

describe('pod garbage collector', () => {
  let clock: FakeClock;
  let world: World;
  beforeEach(() => {
    clock = new FakeClock(Date.now());
    world = new World(new FakeClient({ now: () => clock.now() }), clock);
  });
  afterEach(() => world.stop());

  const node = (name: string, ready: string, taints: object[] = []) =>
    world.client.seed(NODES, {
      metadata: { name },
      spec: { taints },
      status: { conditions: [{ type: 'Ready', status: ready }] },
    } as never);
  const pod = (name: string, nodeName: string, phase = 'Running') =>
    world.client.seed(PODS, {
      metadata: { namespace: 'a', name },
      spec: { containers: [], ...(nodeName ? { nodeName } : {}) },
      status: { phase },
    } as never);
  const names = () => world.client.all(PODS).map(({ metadata }) => metadata.name);
  const go = async (ms: number) => {
    for (let at = 0; at < ms; at += 20_000) {
      await clock.advance(20_000);
      await world.atRest();
    }
  };

  it('removes Pods of nodes that are gone, not before 40 s have shown that they are', async () => {
    node('here', 'True');
    pod('on-here', 'here');
    pod('on-gone', 'gone');
    world.start([podGcController]);
    await world.atRest();
    await go(40_000);
    expect(names()).toEqual(['on-here', 'on-gone']);
    await go(60_000);
    expect(names()).toEqual(['on-here']);
    const told = world.client.actions.map((action) => JSON.stringify(action)).join('\n');
    expect(told).toContain('PodGC: node no longer exists');
  });

  it('removes Pods that are going and have no node', async () => {
    const deletionTimestamp = new Date(clock.now()).toISOString();
    world.client.seed(PODS, {
      metadata: { namespace: 'a', name: 'unbound', deletionTimestamp },
      spec: { containers: [] },
    } as never);
    world.start([podGcController]);
    await world.atRest();
    await go(40_000);
    expect(names()).toEqual([]);
  });

  it('removes Pods that are going from a node that is out of service, and from no other that is not ready', async () => {
    const taint = { key: 'node.kubernetes.io/out-of-service', effect: 'NoExecute' };
    node('out', 'False', [taint]);
    node('down', 'False');
    node('back', 'True', [taint]);
    for (const on of ['out', 'down', 'back']) pod(`on-${on}`, on);
    pod('stays', 'out');
    world.start([podGcController]);
    await world.atRest();
    for (const on of ['out', 'down', 'back'])
      await world.client.delete(PODS, { namespace: 'a', name: `on-${on}` });
    await go(40_000);
    expect(names()).toEqual(['on-down', 'on-back', 'stays']);
  });

  it('keeps so many Pods that have ended', async () => {
    node('n', 'True');
    for (const i of [0, 1, 2, 3]) pod(`done-${i}`, 'n', 'Succeeded');
    pod('runs', 'n');
    world.start([podGcController], { terminatedPodGcThreshold: 2 });
    await world.atRest();
    await go(40_000);
    expect(names()).toHaveLength(3);
    expect(names()).toContain('runs');
  });
});
