import { afterEach, describe, expect, it, vi } from 'vitest';
import { ApiError } from '../api/errors.ts';
import { NODES, PODS } from '../api/resource-types.ts';
import type { Pod } from '../api/types.ts';
import { FakeClock } from '../util/clock.fake.ts';
import { type Clock, realClock } from '../util/clock.ts';
import { makeNode, makePod } from './objects.fake.ts';
import { runningScheduler } from './running.fake.ts';

const stops: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const stop of stops.splice(0)) await stop();
});

function start(clock: Clock = realClock, wall = clock) {
  const scheduler = runningScheduler(clock, wall);
  stops.push(scheduler.stop);
  return scheduler;
}

describe('Scheduler in trouble', () => {
  it('binds every Pod once when the API server was gone for a minute, and the watches with it', async () => {
    const clock = new FakeClock();
    const { client, nodeOf } = start(clock);
    client.seed(NODES, makeNode('one', { cpu: '1' }));
    const names = Array.from({ length: 20 }, (_, i) => `pod-${i}`);
    const pod = (name: string) => makePod(name, { cpu: '50m' });
    // It goes with the first binding, when half of the Pods are known.
    let back: (() => void) | undefined;
    const bound: string[] = [];
    client.react(({ subresource, key }) => {
      if (subresource !== 'binding') return undefined;
      bound.push(key);
      if (back) return undefined;
      back = client.disconnect();
      return new Error('connection lost');
    });
    client.seed(PODS, ...names.slice(0, 10).map(pod));
    await vi.waitFor(() => expect(back).toBeDefined(), 30_000);
    const [lost] = bound.splice(0);
    client.seed(PODS, ...names.slice(10).map(pod));
    // What else happens meanwhile: room for one Pod less, and history that nobody keeps.
    client.seed(PODS, makePod('other', { cpu: '50m', nodeName: 'one' }));
    client.compact();
    for (let second = 0; second < 60; second++) await clock.advance(1000);
    expect(names.filter(nodeOf)).toEqual([]);
    expect(bound).toEqual([]);
    back?.();
    const from = clock.now();
    const placed = () => names.filter((name) => nodeOf(name) === 'one');
    const later = async () => {
      await clock.advance(1000);
      expect(placed()).toHaveLength(19);
    };
    await vi.waitFor(later, { timeout: 30_000, interval: 1 });
    expect(clock.now() - from).toBeLessThan(30_000);
    expect(bound.toSorted()).toEqual([...new Set(bound)].sort());
    expect(bound).toHaveLength(19);
    expect(lost).toBeDefined();
  });

  it('goes on when a node is deleted between the choice and the binding', async () => {
    const { client, nodeOf } = start();
    const chosen: unknown[] = [];
    client.seed(NODES, makeNode('gone', { cpu: '16' }), makeNode('left'));
    const stop = client.react((action) => {
      if (action.subresource !== 'binding') return undefined;
      stop();
      chosen.push((action.body as { target: { name: string } }).target.name);
      client.delete(NODES, { namespace: '', name: 'gone' }).catch(() => {});
      return new Error('connection lost');
    });
    await client.create(PODS, makePod('first'));
    await vi.waitFor(() => expect(chosen).toEqual(['gone']), 30_000);
    await client.create(PODS, makePod('second'));
    await vi.waitFor(() => expect(nodeOf('second')).toBe('left'), 30_000);
    await vi.waitFor(() => expect(nodeOf('first')).toBe('left'), { timeout: 30_000 });
  });

  it('places a Pod at once beside thousands that fit nowhere, also when an event has woken them', async () => {
    const { client, events, nodeOf } = start();
    client.seed(NODES, makeNode('one'));
    const huge = Array.from({ length: 500 }, (_, i) => makePod(`huge-${i}`, { cpu: '64' }));
    client.seed(PODS, ...huge);
    const refusals = () => events.lines.filter((line) => line.includes('FailedScheduling')).length;
    await vi.waitFor(() => expect(refusals()).toBe(500), { timeout: 30_000 });
    const taints = [{ key: 'dedicated', effect: 'NoSchedule' }];
    await client.create(NODES, { ...makeNode('two', { cpu: '64' }), spec: { taints } });
    await client.create(PODS, makePod('small'));
    await vi.waitFor(() => expect(nodeOf('small')).toBeDefined(), 30_000);
    const at = events.lines.findIndex((line) => line.includes('Scheduled default/small'));
    expect(at).toBeLessThan(750);
    await vi.waitFor(() => expect(refusals()).toBe(1000), { timeout: 30_000 });
  });

  it('keeps its back-offs when the wall clock is set', async () => {
    const clock = new FakeClock();
    // An hour back, and an hour forth.
    for (const at of [-3_600_000, 3_600_000]) {
      let time = clock.now();
      const wall = { ...realClock, now: () => time };
      const { client, nodeOf } = start(clock, wall);
      client.seed(NODES, makeNode('one'));
      let tries = 0;
      client.react((action) =>
        action.subresource === 'binding' && ++tries === 1
          ? new Error('connection lost')
          : undefined,
      );
      await client.create(PODS, makePod('p'));
      await vi.waitFor(() => expect(tries).toBe(1), 30_000);
      time += at;
      await clock.advance(900);
      expect(tries).toBe(1);
      for (let i = 0; i < 20 && nodeOf('p') === undefined; i++) await clock.advance(100);
      await vi.waitFor(() => expect(nodeOf('p')).toBe('one'), 30_000);
    }
  });

  it('frees the place of a Pod that was bound and deleted while no watch told of it', async () => {
    const { client, nodeOf } = start();
    client.seed(NODES, makeNode('one', { cpu: '1' }));
    const { watch } = client;
    client.watch = async function* (type, options, signal) {
      for await (const event of watch.call(client, type, options, signal)) {
        const { metadata, spec } = event.object as Pod;
        if (metadata.name === 'first' && spec?.nodeName) {
          await client.delete(PODS, metadata, { gracePeriodSeconds: 0 });
          throw new ApiError('Expired', 'too old resource version');
        }
        yield event as never;
      }
    };
    await client.create(PODS, makePod('first', { cpu: '1' }));
    await vi.waitFor(() => expect(client.all(PODS)).toEqual([]), 30_000);
    await client.create(PODS, makePod('second', { cpu: '1' }));
    await vi.waitFor(() => expect(nodeOf('second')).toBe('one'), 30_000);
  });

  it('forgets a Pod that is deleted while it is bound', async () => {
    const { client, nodeOf } = start();
    client.seed(NODES, makeNode('one', { cpu: '1' }));
    const stop = client.react((action) => {
      if (action.subresource !== 'binding') return undefined;
      stop();
      client.delete(PODS, { namespace: 'default', name: 'first' }).catch(() => {});
      return new Error('not found');
    });
    await client.create(PODS, makePod('first', { cpu: '1' }));
    await vi.waitFor(() => expect(client.all(PODS)).toEqual([]), 30_000);
    await client.create(PODS, makePod('second', { cpu: '1' }));
    await vi.waitFor(() => expect(nodeOf('second')).toBe('one'), { timeout: 30_000 });
  });
});
