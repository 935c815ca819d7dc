import { describe, expect, it } from 'vitest';
import { FakeClock } from '../util/clock.fake.ts';
import { Cache } from './cache.ts';
import { makeNode, podInfo } from './objects.fake.ts';

function start(options: { assumedTtlMs?: number } = {}) {
  const clock = new FakeClock();
  const cache = new Cache({ clock }, options);
  cache.setNode(makeNode('a'));
  cache.setNode(makeNode('b'));
  const used = (node: string) => cache.snapshot().get(node)?.requested.milliCpu;
  return { cache, clock, used };
}

describe('Cache', () => {
  it('copies into the next snapshot only what has changed', () => {
    const { cache } = start();
    const [before] = [cache.snapshot().nodes.slice()];
    cache.assume(podInfo('p', { nodeName: 'a', cpu: '1' }));
    // A cycle that goes on with what it has got is not disturbed.
    expect(before.map(({ requested }) => requested.milliCpu)).toEqual([0, 0]);
    const after = cache.snapshot();
    const same = before.filter((node) => after.get(node.name) === node);
    expect(same.map(({ name }) => name)).toEqual(['b']);
    expect(after.get('a')?.requested.milliCpu).toBe(1000);
  });

  it('counts an assumed Pod until it is confirmed, wherever that is, or forgotten', () => {
    const { cache, used } = start();
    const first = podInfo('first', { nodeName: 'a', cpu: '1' });
    cache.assume(first);
    expect([used('a'), cache.assumedCount]).toEqual([1000, 1]);
    expect(() => cache.assume(first)).toThrow('so it cannot be assumed');
    cache.finishBinding(first.uid);
    cache.addPod(first.on('b'));
    expect([used('a'), used('b'), cache.assumedCount]).toEqual([0, 1000, 0]);
    cache.forget(first.uid); // too late: it is bound
    expect(used('b')).toBe(1000);
    const second = podInfo('second', { nodeName: 'a', cpu: '2' });
    cache.assume(second);
    cache.forget(second.uid);
    expect(used('a')).toBe(0);
  });

  it('lets an assumed Pod expire that nobody confirms, counted from its binding', async () => {
    const { cache, clock, used } = start({ assumedTtlMs: 30_000 });
    const lost = podInfo('lost', { nodeName: 'a', cpu: '1' });
    const seen = podInfo('seen', { nodeName: 'a', cpu: '1' });
    for (const pod of [lost, seen]) cache.assume(pod);
    await clock.advance(60_000); // the binding may take as long as it needs
    expect(used('a')).toBe(2000);
    for (const pod of [lost, seen]) cache.finishBinding(pod.uid);
    await clock.advance(29_000);
    cache.addPod(seen);
    await clock.advance(2000);
    expect(used('a')).toBe(1000);
    expect([cache.getPod(lost.uid), cache.podCount]).toEqual([undefined, 1]);
  });

  it('remembers the Pods of a node that is gone until they are gone, too', () => {
    const { cache, used } = start();
    const pod = podInfo('p', { nodeName: 'a', cpu: '1' });
    cache.addPod(pod);
    cache.removeNode('a');
    expect(cache.snapshot().nodes.map(({ name }) => name)).toEqual(['b']);
    cache.setNode(makeNode('a'));
    expect(used('a')).toBe(1000);
    cache.removeNode('a');
    cache.removePod(pod.uid);
    cache.setNode(makeNode('a'));
    expect(used('a')).toBe(0);
  });
});
