import { describe, expect, it } from 'vitest';
import type { StorageEvent } from '../../../src/storage/storage.ts';
import { type Line, StoreModel } from './model.ts';

const put = (revision: number, key: string, value: string): StorageEvent => ({
  revision,
  key,
  value: Buffer.from(value),
});

// Two writes of one key, a read, a refusal, a list and a watch, all as they should be.
const LINES: readonly Line[] = [
  { watch: 'w', prefix: '/a', after: 0 },
  { id: 1, ask: 'put', key: '/a', expected: 0, value: 'one' },
  { id: 1, answer: 'written', revision: 1 },
  { watch: 'w', events: [['/a', 1]] },
  { id: 2, ask: 'get', key: '/a' },
  { id: 2, answer: 'read', revision: 1 },
  { id: 3, ask: 'put', key: '/a', expected: 1, value: 'two' },
  { id: 3, answer: 'written', revision: 2 },
  { id: 4, ask: 'put', key: '/a', expected: 1, value: 'late' },
  { id: 4, answer: 'refused', kind: 'conflict', revision: 2 },
  { id: 5, ask: 'delete', key: '/a', expected: 2 },
  { id: 6, ask: 'list', key: '/' },
  { id: 6, answer: 'listed', revision: 2, items: [['/a', 2]] },
  { watch: 'w', events: [['/a', 2]] },
];
const HISTORY = [put(1, '/a', 'one'), put(2, '/a', 'two')];
const check = (lines: readonly Line[], history: readonly StorageEvent[]): string[] =>
  new StoreModel().check(lines, { after: 0, history });
const instead = (index: number, line: Line): Line[] =>
  LINES.map((l, i) => (i === index ? line : l));

describe('StoreModel', () => {
  it('accepts what keeps the promises, whether an unanswered write happened or not', () => {
    expect(check(LINES, HISTORY)).toEqual([]);
    const removed = { revision: 3, key: '/a', value: undefined };
    expect(check(LINES, [...HISTORY, removed])).toEqual([]);
  });

  it.each<[string, readonly Line[], readonly StorageEvent[], string]>([
    ['a lost write', LINES, HISTORY.slice(0, 1), 'acknowledged revision 2 is lost'],
    ['another value', LINES, [put(1, '/a', 'one'), put(2, '/a', 'three')], 'holds another value'],
    ['a write of nobody', LINES, [...HISTORY, put(3, '/b', 'x')], 'nobody asked for revision 3'],
    ['a history out of order', LINES, [...HISTORY].reverse(), 'revision 1 follows 2'],
    ['a stale read', instead(5, { id: 2, answer: 'read', revision: 0 }), HISTORY, 'read 0'],
    [
      'a write over another',
      instead(6, { id: 3, ask: 'put', key: '/a', expected: 0, value: 'two' }),
      HISTORY,
      'replaced 1 instead of 0',
    ],
    [
      'a refusal without reason',
      instead(8, { id: 4, ask: 'put', key: '/a', expected: 2, value: 'late' }),
      HISTORY,
      'refused although it was right',
    ],
    [
      'a stale list',
      instead(12, { id: 6, answer: 'listed', revision: 1, items: [['/a', 1]] }),
      HISTORY,
      'older than 2',
    ],
    [
      'a wrong list',
      instead(12, { id: 6, answer: 'listed', revision: 2, items: [] }),
      HISTORY,
      'differs',
    ],
    ['a gap in a watch', instead(3, { watch: 'w', events: [] }), HISTORY, 'watch w missed 1'],
    [
      'a repeated event',
      instead(13, { watch: 'w', events: [['/a', 1]] }),
      HISTORY,
      'told of 1 again',
    ],
    [
      'an event from the future',
      instead(13, {
        watch: 'w',
        events: [
          ['/a', 2],
          ['/a', 9],
        ],
      }),
      HISTORY,
      'did not last',
    ],
  ])('finds %s', (_, lines, history, message) => {
    expect(check(lines, history).join('; ')).toContain(message);
  });

  it('follows a store through several lives', () => {
    const model = new StoreModel();
    expect(model.check(LINES, { after: 0, history: HISTORY })).toEqual([]);
    expect(model.check([], { after: 0, history: HISTORY.slice(0, 1) })).toEqual([
      'lost revision 2',
    ]);
    expect(model.check([], { after: 1, history: [put(2, '/a', 'TWO')] })).toEqual([
      '2 has changed',
    ]);
  });
});
