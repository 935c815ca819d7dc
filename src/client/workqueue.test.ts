import { describe, expect, it } from 'vitest';
import { FakeClock } from '../util/clock.fake.ts';
import { DelayingQueue, MeasuredQueue, RateLimitingQueue, WorkQueue } from './workqueue.ts';

describe('WorkQueue', () => {
  it('gives each key once, in the order of arrival', async () => {
    const queue = new WorkQueue();
    for (const key of ['a', 'b', 'a', 'c']) queue.add(key);
    expect([await queue.get(), await queue.get(), await queue.get()]).toEqual(['a', 'b', 'c']);
    expect(queue.length).toBe(0);
  });

  it('keeps a key from a second worker until the first is done, then gives it again', async () => {
    const queue = new WorkQueue();
    queue.add('a');
    expect(await queue.get()).toBe('a');
    queue.add('a');
    expect(queue.length).toBe(0);
    queue.done('a');
    expect(await queue.get()).toBe('a');
    queue.done('a');
    expect(queue.length).toBe(0);
  });

  it('gives undefined to those who wait when it closes', async () => {
    const queue = new WorkQueue();
    const waiting = queue.get();
    queue.close();
    expect(await waiting).toBeUndefined();
    queue.add('late');
    expect(await queue.get()).toBeUndefined();
  });
});

describe('DelayingQueue', () => {
  it('brings a key at the earliest of the times asked for, once', async () => {
    const clock = new FakeClock();
    const queue = new DelayingQueue(clock);
    queue.addAfter('a', 100);
    queue.addAfter('a', 50);
    queue.addAfter('a', 200);
    await clock.advance(49);
    expect(queue.length).toBe(0);
    await clock.advance(1);
    expect(await queue.get()).toBe('a');
    queue.done('a');
    await clock.advance(1000);
    expect(queue.length).toBe(0);
  });
});

describe('RateLimitingQueue', () => {
  it('doubles the wait of a key that fails, up to the limit, and forgets', async () => {
    const clock = new FakeClock();
    const queue = new RateLimitingQueue(clock, { firstMs: 10, maxMs: 35 });
    const waits: number[] = [];
    for (let i = 0; i < 4; i++) {
      queue.addRateLimited('a');
      const before = clock.now();
      while (queue.length === 0) await clock.advance(5);
      waits.push(clock.now() - before);
      queue.done((await queue.get()) ?? '');
    }
    expect(waits).toEqual([10, 20, 35, 35]);
    queue.forget('a');
    expect(queue.failures('a')).toBe(0);
  });
});

describe('MeasuredQueue', () => {
  it('tells of each key that comes, and how long it waited', async () => {
    const clock = new FakeClock();
    const told: string[] = [];
    const observer = {
      added: () => told.push('added'),
      waited: (ms: number) => told.push(`waited ${ms}`),
    };
    const queue = new MeasuredQueue({ clock, observer });
    queue.add('a');
    queue.add('a'); // waits already
    await clock.advance(30);
    expect(await queue.get()).toBe('a');
    queue.add('a'); // again, while a worker has it
    await clock.advance(12);
    queue.done('a');
    expect(await queue.get()).toBe('a');
    expect(told).toEqual(['added', 'waited 30', 'added', 'waited 12']);
  });
});
