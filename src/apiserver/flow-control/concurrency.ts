import type { PriorityLevelConfiguration } from '../../api/types.ts';
import type { Demand } from './seat-demand.ts';

type LevelSpec = PriorityLevelConfiguration['spec'];

/** Between how many seats a level may have, and how many are its own when nobody lends or borrows. */
export interface SeatRange {
  readonly nominal: number;
  readonly min: number;
  readonly max: number;
}

export function sharesOf(spec: LevelSpec): number {
  return (spec?.limited ?? spec?.exempt)?.nominalConcurrencyShares ?? 0;
}

/** What of `total` seats is a level's, given the sum of all shares. */
export function seatRange(spec: LevelSpec, sum: number, total: number): SeatRange {
  const nominal = Math.ceil((total * sharesOf(spec)) / Math.max(sum, 1));
  const { lendablePercent = 0 } = spec?.limited ?? spec?.exempt ?? {};
  const borrowable = spec?.limited?.borrowingLimitPercent;
  const limit = borrowable === undefined ? total : nominal + percentOf(nominal, borrowable);
  return {
    nominal,
    min: nominal - percentOf(nominal, lendablePercent),
    max: Math.max(nominal, Math.min(total, limit)),
  };
}

function percentOf(seats: number, percent: number): number {
  return Math.round((seats * percent) / 100);
}

/** How slowly a demand that was high is forgotten: half of it in five minutes of periods. */
const MEMORY = 0.977;

/** The demand that counts, given what counted before: rises at once, falls slowly. */
export function smoothDemand({ high, average, deviation }: Demand, before: number): number {
  const envelope = Math.min(high, average + deviation);
  return Math.max(envelope, MEMORY * before + (1 - MEMORY) * envelope);
}

export interface Claim {
  readonly range: SeatRange;
  /** The most that was asked for at once. */
  readonly high: number;
  readonly smooth: number;
}

/**
 * How many seats each level gets of `total` until the next time (KEP-1040, "Dispatching and borrowing"): as much of its
 * target as all others get of theirs, within what it must not lend and may borrow.
 */
export function allocateSeats(claims: readonly Claim[], total: number): number[] {
  const bounds = claims.map(({ range, high, smooth }) => {
    const low = Math.max(range.min, Math.min(range.nominal, high));
    return { low, high: Math.max(low, range.max), target: Math.max(low, smooth) };
  });
  const at = (fraction: number) =>
    bounds.map(({ low, high, target }) => Math.min(high, Math.max(low, fraction * target)));
  const sum = (seats: readonly number[]) => seats.reduce((all, one) => all + one, 0);
  let [below, above] = [0, 1];
  // Nobody wants more than `high`: beyond that fraction nothing grows.
  const largest = Math.max(
    1,
    ...bounds.map(({ high, target }) => (target > 0 ? high / target : 1)),
  );
  while (above < largest && sum(at(above)) < total) above *= 2;
  for (let step = 0; step < 50; step++) {
    const middle = (below + above) / 2;
    if (sum(at(middle)) > total) above = middle;
    else below = middle;
  }
  return at(below).map(Math.round);
}
