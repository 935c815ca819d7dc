import { describe, expect, it } from 'vitest';
import { listWork, mostSeats, writeWork } from './work.ts';

describe('mostSeats', () => {
  it('is fifteen in a hundred of the level, at most ten, at least one', () => {
    expect([0, 6, 7, 60, 600].map(mostSeats)).toEqual([1, 1, 2, 9, 10]);
  });
});

describe('listWork', () => {
  it('takes a seat for each hundred objects, within its limit', () => {
    expect([0, 100, 101, 5000].map((n) => listWork(n, 4).width)).toEqual([1, 1, 2, 4]);
  });
});

describe('writeWork', () => {
  it('takes one seat while few watch', () => {
    expect(writeWork(9, 10)).toEqual({ width: 1 });
  });

  it('keeps a seat for each ten watches for 5 ms afterwards', () => {
    expect(writeWork(25, 10)).toEqual({ width: 3, after: { seats: 3, milliseconds: 5 } });
  });

  it('keeps fewer seats for longer when it may not have so many', () => {
    expect(writeWork(1000, 10)).toEqual({ width: 10, after: { seats: 10, milliseconds: 50 } });
  });
});
