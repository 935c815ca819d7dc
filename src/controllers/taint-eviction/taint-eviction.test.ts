import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { NODES, PODS } from '../../api/resource-types.ts';
import { FakeClient } from '../../client/client.fake.ts';
import { FakeClock } from '../../util/clock.fake.ts';
import { World } from '../world.fake.ts';
import { taintEvictionController } from './taint-eviction-controller.ts';

const SECOND = 1000;
const nodeKey = { namespace: '', name: 'n' };
const taint = (key: string, effect = 'NoExecute') => ({ key, value: 'true', effect });

let clock: FakeClock;
let world: World;
beforeEach(() => {
  clock = new FakeClock(Date.now());
  world = new World(new FakeClient({ now: () => clock.now() }), clock);
  world.client.seed(NODES, { metadata: { name: 'n' }, spec: {}, status: {} } as never);
});
afterEach(() => world.stop());

const pod = (name: string, tolerations: object[]) =>
  world.client.seed(PODS, {
    metadata: { namespace: 'a', name },
    spec: { nodeName: 'n', containers: [], tolerations },
  } as never);
const setTaints = (...taints: object[]) =>
  world.client.patch(NODES, nodeKey, { type: 'merge', body: { spec: { taints } } });
const staying = () =>
  world.client
    .all(PODS)
    .filter(({ metadata }) => !metadata.deletionTimestamp)
    .map(({ metadata }) => metadata.name);

describe('taint eviction controller', () => {
  const forSeconds = (key: string, tolerationSeconds: number | bigint) => ({
    ...{ key, operator: 'Exists', effect: 'NoExecute', tolerationSeconds },
  });

  it('takes each Pod when its toleration ends, and leaves those that tolerate the taint for ever', async () => {
    pod('at-once', []);
    pod('after-30', [forSeconds('bad', 30)]);
    pod('always', [{ operator: 'Exists' }]);
    pod('nearly-always', [forSeconds('bad', 2n ** 63n - 1n)]);
    world.start([taintEvictionController]);
    await setTaints(taint('bad'), taint('other', 'NoSchedule'));
    await world.until(() => expect(staying()).toEqual(['after-30', 'always', 'nearly-always']));
    await world.atRest();
    await clock.advance(29 * SECOND);
    await world.atRest();
    expect(staying()).toEqual(['after-30', 'always', 'nearly-always']);
    await clock.advance(2 * SECOND);
    await world.until(() => expect(staying()).toEqual(['always', 'nearly-always']));
    const [gone] = world.client.all(PODS).filter(({ metadata }) => metadata.name === 'after-30');
    expect(gone?.status?.conditions).toMatchObject([
      { type: 'DisruptionTarget', status: 'True', reason: 'DeletionByTaintManager' },
    ]);
  });

  it('of several taints lets the shortest toleration decide', async () => {
    pod('p', [forSeconds('one', 60), forSeconds('two', 5)]);
    pod('half', [forSeconds('one', 60)]);
    world.start([taintEvictionController]);
    await setTaints(taint('one'), taint('two'));
    await world.until(() => expect(staying()).toEqual(['p']));
    await world.atRest();
    await clock.advance(6 * SECOND);
    await world.until(() => expect(staying()).toEqual([]));
  });

  it('lets a Pod stay whose taint goes in time, and says so', async () => {
    pod('p', [forSeconds('bad', 60)]);
    world.start([taintEvictionController]);
    await setTaints(taint('bad'));
    await world.until(() => expect(clock.pending).toBeGreaterThan(0));
    await world.atRest();
    await setTaints();
    const text = 'Normal TaintManagerEviction a/p: Cancelling deletion of Pod a/p';
    await world.until(() => expect(world.events.lines).toContain(text));
    await clock.advance(3600 * SECOND);
    await world.atRest();
    expect(staying()).toEqual(['p']);
  });
});
