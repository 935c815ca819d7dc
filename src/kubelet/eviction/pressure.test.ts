import { beforeEach, describe, expect, it } from 'vitest';
import { FakeEvents } from '../../client/events.fake.ts';
import { FakeClock } from '../../util/clock.fake.ts';
import { silent } from '../../util/log.ts';
import { DEFAULTS } from '../config.ts';
import { kubeletMetrics } from '../metrics.ts';
import { podWith } from '../pods.fake.ts';
import type { ContainerRuntime } from '../runtime/runtime.ts';
import type { StatsProvider } from '../stats/stats-provider.ts';
import { type EvictionDeps, EvictionManager } from './eviction-manager.ts';

const MI = 2 ** 20;
const signal = new AbortController().signal;

let clock = new FakeClock();
let events = new FakeEvents();
let left = { memory: 0, disk: 0 };
const evicted: [name: string, grace: number | undefined][] = [];
let reclaimed = 0;
/** What a reclaim wins back. */
let unused = 0;
/** Pods of which nothing is left. */
let cleared = (_uid: string): boolean => true;

beforeEach(() => {
  clock = new FakeClock();
  events = new FakeEvents();
  left = { memory: 8000 * MI, disk: 8000 * MI };
  evicted.length = 0;
  reclaimed = 0;
  unused = 0;
  cleared = () => true;
});

function manager(config: object): EvictionManager {
  const pods = ['big', 'small'].map((name) =>
    podWith({ terminationGracePeriodSeconds: 45 }, { name, uid: name }),
  );
  const stats = ['big', 'small'].map((name, i) => ({
    podRef: { name, namespace: 'default', uid: name },
    startTime: '',
    memory: { time: '', workingSetBytes: (2 - i) * 100 * MI },
    'ephemeral-storage': { usedBytes: (2 - i) * 100 * MI },
    containers: [],
  }));
  const deps = {
    clock,
    log: silent,
    recorder: events,
    metrics: kubeletMetrics('node-1'),
    runtime: { imageFsInfo: async () => [] } as unknown as ContainerRuntime,
    stats: { summary: async () => ({ pods: stats }) } as unknown as StatsProvider,
    active: () => pods.filter(({ metadata: { uid } }) => !evicted.some(([name]) => name === uid)),
    evict: (uid, { gracePeriod }) => void evicted.push([uid, gracePeriod]),
    reclaimDisk: async () => {
      reclaimed++;
      left.disk += unused;
      unused = 0;
    },
    onPressure: () => {},
    isCleared: (uid) => cleared(uid),
    readSignals: async () =>
      new Map([
        ['memory.available', { available: left.memory, total: 16_000 * MI }],
        ['nodefs.available', { available: left.disk, total: 16_000 * MI }],
      ]),
  } as Partial<EvictionDeps> as EvictionDeps;
  const options = { rootDir: '/', nodeName: 'node-1', config: { ...DEFAULTS, ...config } };
  return new EvictionManager(deps, options);
}

const SOFT = {
  evictionSoft: { 'memory.available': '500Mi' },
  evictionSoftGracePeriod: { 'memory.available': '1m30s' },
  evictionMaxPodGracePeriod: 30,
};

describe('a soft threshold', () => {
  it('is told at once, and ends a pod only when it has lasted, gently', async () => {
    const eviction = manager(SOFT);
    left.memory = 400 * MI;
    await eviction.look(signal);
    expect(eviction.pressure.memory).toBe(true);
    await clock.advance(80_000);
    await eviction.look(signal);
    expect(evicted).toEqual([]);
    await clock.advance(10_000);
    await eviction.look(signal);
    expect(evicted).toEqual([['big', 30]]);
    expect(events.lines).toContain(
      'Warning EvictionThresholdMet node-1: Attempting to reclaim memory',
    );
  });

  it('begins anew when it was left meanwhile', async () => {
    const eviction = manager(SOFT);
    left.memory = 400 * MI;
    await eviction.look(signal);
    await clock.advance(80_000);
    left.memory = 900 * MI;
    await eviction.look(signal);
    left.memory = 400 * MI;
    await clock.advance(10_000);
    await eviction.look(signal);
    expect(evicted).toEqual([]);
  });
});

describe('a hard threshold', () => {
  it('ends a pod at once, one with each look', async () => {
    const eviction = manager({});
    left.memory = 90 * MI;
    await eviction.look(signal);
    expect(evicted).toEqual([['big', 1]]);
    await eviction.look(signal);
    expect(evicted.map(([name]) => name)).toEqual(['big', 'small']);
  });

  it('of the disk ends nobody while there is something that nobody uses', async () => {
    const eviction = manager({ evictionHard: { 'nodefs.available': '1Gi' } });
    left.disk = 900 * MI;
    unused = 1000 * MI;
    await eviction.look(signal);
    expect([reclaimed, evicted.length]).toEqual([1, 0]);
    left.disk = 900 * MI;
    await eviction.look(signal);
    expect(evicted).toEqual([['big', 1]]);
  });

  it('asks for more than the threshold while evictionMinimumReclaim is to be won back', async () => {
    const eviction = manager({
      evictionHard: { 'nodefs.available': '1Gi' },
      evictionMinimumReclaim: { 'nodefs.available': '500Mi' },
    });
    left.disk = 900 * MI;
    unused = 200 * MI;
    await eviction.look(signal);
    expect(evicted).toHaveLength(1);
  });
});

describe('while the threshold is crossed', () => {
  it('one pod after the other goes, the next when the one before is gone', async () => {
    const gone = new Set<string>();
    cleared = (uid) => gone.has(uid);
    left.memory = 90 * MI;
    const stop = new AbortController();
    const running = manager({}).run(stop.signal);
    await clock.advance(0);
    await clock.advance(20_000);
    expect(evicted.map(([name]) => name)).toEqual(['big']);
    gone.add('big');
    await clock.advance(500);
    expect(evicted.map(([name]) => name)).toEqual(['big', 'small']);
    stop.abort();
    await running;
  });

  it('a pod that does not go keeps the next one for half a minute, not longer', async () => {
    cleared = () => false;
    left.memory = 90 * MI;
    const stop = new AbortController();
    const running = manager({}).run(stop.signal);
    await clock.advance(0);
    await clock.advance(29_000);
    expect(evicted).toHaveLength(1);
    await clock.advance(2000);
    expect(evicted).toHaveLength(2);
    stop.abort();
    await running;
  });
});

describe('a pressure that nobody can relieve', () => {
  it('is told of every ten seconds, not with each look', async () => {
    evicted.push(['big', 1], ['small', 1]);
    left.memory = 90 * MI;
    const eviction = manager({});
    for (let looks = 0; looks < 10; looks++) {
      await eviction.look(signal);
      await clock.advance(2000);
    }
    expect(events.lines).toHaveLength(2);
  });
});

describe('a pressure', () => {
  it('is known before anything is done about it', async () => {
    const eviction = manager({});
    left.memory = 90 * MI;
    await eviction.see();
    expect(eviction.pressure.memory).toBe(true);
    expect(eviction.refusal(podWith())?.reason).toBe('Evicted');
    expect([evicted.length, events.lines]).toEqual([0, []]);
  });

  it('is told until it has been gone for the transition period', async () => {
    const eviction = manager({ evictionPressureTransitionPeriod: '5m' });
    left.memory = 90 * MI;
    await eviction.look(signal);
    left.memory = 8000 * MI;
    await clock.advance(299_000);
    await eviction.look(signal);
    expect(eviction.pressure.memory).toBe(true);
    expect(eviction.refusal(podWith())?.message).toBe('The node had condition: [MemoryPressure]. ');
    await clock.advance(1000);
    await eviction.look(signal);
    expect(eviction.pressure.memory).toBe(false);
    expect(eviction.refusal(podWith())).toBeUndefined();
  });
});
