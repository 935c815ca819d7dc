import { describe, expect, it } from 'vitest';
import { fc } from '../../test/support/properties.ts';
import { KeyedHeap } from './heap.ts';

const numbers = () =>
  new KeyedHeap<{ key: string; rank: number }>(
    (item) => item.key,
    (a, b) => a.rank < b.rank,
  );

describe('KeyedHeap', () => {
  it('pops in order whatever was set, replaced and deleted before', () => {
    const operation = fc.record({
      key: fc.integer({ min: 0, max: 20 }).map(String),
      rank: fc.option(fc.integer(), { nil: undefined }),
    });
    fc.assert(
      fc.property(fc.array(operation), (operations) => {
        const heap = numbers();
        const model = new Map<string, number>();
        for (const { key, rank } of operations) {
          if (rank === undefined) {
            expect(heap.delete(key)?.rank).toBe(model.get(key));
            model.delete(key);
          } else {
            heap.set({ key, rank });
            model.set(key, rank);
          }
        }
        expect(heap.size).toBe(model.size);
        const popped: number[] = [];
        for (let item = heap.pop(); item; item = heap.pop()) popped.push(item.rank);
        expect(popped).toEqual([...model.values()].sort((a, b) => a - b));
      }),
    );
  });

  it('finds by key', () => {
    const heap = numbers();
    heap.set({ key: 'a', rank: 2 });
    heap.set({ key: 'b', rank: 1 });
    expect(heap.get('a')).toEqual({ key: 'a', rank: 2 });
    expect(heap.has('c')).toBe(false);
    expect(heap.peek()?.key).toBe('b');
  });
});
