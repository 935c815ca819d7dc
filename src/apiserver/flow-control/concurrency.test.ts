import { describe, expect, it } from 'vitest';
import { fc } from '../../../test/support/properties.ts';
import { FakeClock } from '../../util/clock.fake.ts';
import { allocateSeats, type Claim, seatRange, smoothDemand } from './concurrency.ts';
import { SeatDemand } from './seat-demand.ts';

const limited = (shares: number, more: object = {}) => ({
  type: 'Limited' as const,
  limited: { nominalConcurrencyShares: shares, ...more },
});

describe('seatRange', () => {
  it.each([
    ['neither lends nor is bounded', limited(30), { nominal: 60, min: 60, max: 200 }],
    ['lends', limited(30, { lendablePercent: 50 }), { nominal: 60, min: 30, max: 200 }],
    [
      'borrows little',
      limited(30, { borrowingLimitPercent: 10 }),
      { nominal: 60, min: 60, max: 66 },
    ],
    [
      'borrows nothing',
      limited(30, { borrowingLimitPercent: 0 }),
      { nominal: 60, min: 60, max: 60 },
    ],
  ])('of a level that %s', (_name, spec, range) => {
    expect(seatRange(spec, 100, 200)).toEqual(range);
  });
});

const claim = (nominal: number, min: number, high: number, max = 100): Claim => ({
  range: { nominal, min, max },
  ...{ high, smooth: high },
});

describe('allocateSeats', () => {
  it('lends what a quiet level may lend to one that is busy', () => {
    const [quiet = 0, busy = 0] = allocateSeats([claim(50, 5, 0), claim(50, 25, 90)], 100);
    expect(quiet).toBeLessThan(12);
    expect(busy).toBeGreaterThan(88);
  });

  it('gives everybody what is its own when all are busy', () => {
    expect(allocateSeats([claim(50, 5, 90), claim(50, 25, 90)], 100)).toEqual([50, 50]);
  });

  it('lets nobody borrow more than it may', () => {
    const [, busy] = allocateSeats([claim(50, 5, 0), claim(50, 25, 90, 60)], 100);
    expect(busy).toBe(60);
  });

  it('keeps all within their ranges, and to the total as far as these let it', () => {
    const one = fc
      .record({ nominal: fc.integer({ min: 1, max: 50 }), lent: fc.nat(50), borrowed: fc.nat(50) })
      .chain(({ nominal, lent, borrowed }) =>
        fc
          .nat(100)
          .map((high) => claim(nominal, Math.max(nominal - lent, 0), high, nominal + borrowed)),
      );
    fc.assert(
      fc.property(fc.array(one, { minLength: 1, maxLength: 8 }), (claims) => {
        const total = claims.reduce((sum, { range }) => sum + range.nominal, 0);
        const seats = allocateSeats(claims, total);
        for (const [index, { range }] of claims.entries()) {
          expect(seats[index]).toBeGreaterThanOrEqual(range.min);
          expect(seats[index]).toBeLessThanOrEqual(range.max);
        }
        const sum = seats.reduce((all, one) => all + one, 0);
        expect(sum).toBeLessThanOrEqual(total + claims.length / 2);
      }),
    );
  });
});

describe('the demand of a level', () => {
  it('is its highest, its average and how much it varied', async () => {
    const clock = new FakeClock();
    const demand = new SeatDemand(clock);
    demand.set(4);
    await clock.advance(500);
    demand.set(0);
    await clock.advance(500);
    expect(demand.take()).toEqual({ high: 4, average: 2, deviation: 2 });
    await clock.advance(1000);
    expect(demand.take()).toEqual({ high: 0, average: 0, deviation: 0 });
  });

  it('rises at once and falls slowly', () => {
    const risen = smoothDemand({ high: 10, average: 8, deviation: 1 }, 0);
    expect(risen).toBe(9);
    expect(smoothDemand({ high: 0, average: 0, deviation: 0 }, risen)).toBeCloseTo(8.793);
  });
});
