import type { Clock } from '../util/clock.ts';

/** Upstream's ExpectationsTimeout: after this the watch is believed to have lost something. */
const TIMEOUT_MS = 5 * 60_000;

interface Expected {
  creations: number;
  /** UIDs of the objects that were asked to go. */
  readonly deletions: Set<string>;
  readonly at: number;
}

/**
 * What a controller has asked for and has not yet seen in its caches. While something is outstanding the cache is
 * behind, and counting its objects would create or delete too many.
 */
export class Expectations {
  readonly #clock: Clock;
  readonly #byKey = new Map<string, Expected>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** True when the caches show everything that was asked for under this key. */
  satisfied(key: string): boolean {
    const expected = this.#byKey.get(key);
    if (!expected) return true;
    if (expected.creations <= 0 && expected.deletions.size === 0) return true;
    return this.#clock.now() - expected.at > TIMEOUT_MS;
  }

  expectCreations(key: string, count: number): void {
    this.#byKey.set(key, { creations: count, deletions: new Set(), at: this.#clock.now() });
  }

  expectDeletions(key: string, uids: Iterable<string>): void {
    this.#byKey.set(key, { creations: 0, deletions: new Set(uids), at: this.#clock.now() });
  }

  /** Both at once, for controllers that create and delete in one go. */
  expect(key: string, creations: number, deletions: Iterable<string>): void {
    this.#byKey.set(key, { creations, deletions: new Set(deletions), at: this.#clock.now() });
  }

  /** One was seen, or its creation failed. */
  creationObserved(key: string, count = 1): void {
    const expected = this.#byKey.get(key);
    if (expected) expected.creations -= count;
  }

  /** It was seen to go, or its deletion failed. */
  deletionObserved(key: string, uid: string): void {
    this.#byKey.get(key)?.deletions.delete(uid);
  }

  forget(key: string): void {
    this.#byKey.delete(key);
  }
}
