/** Two readings nearer than this say more about the reading than about the use. */
const NEAR_NS = 100_000_000;
/** Use over a longer time than this is no longer "now". */
const OLD_NS = 120_000_000_000;

interface Reading {
  readonly at: number;
  readonly usage: number;
}

/** Nanocores in use, from readings of how much was used in all. Remembers two readings of each thing. */
export class CpuRates {
  readonly #readings = new Map<string, { earlier: Reading; later: Reading }>();

  /** `at` and `usage` in nanoseconds. Undefined until there is something to compare with. */
  rate(key: string, at: number, usage: number): number | undefined {
    const now = { at, usage };
    const known = this.#readings.get(key);
    if (!known || usage < known.later.usage || at - known.later.at > OLD_NS) {
      this.#readings.set(key, { earlier: now, later: now });
      return undefined;
    }
    if (at - known.later.at >= NEAR_NS) {
      this.#readings.set(key, { earlier: known.later, later: now });
    }
    const { earlier, later } = this.#readings.get(key) ?? known;
    if (later.at === earlier.at) return undefined;
    return Math.round(((later.usage - earlier.usage) * 1e9) / (later.at - earlier.at));
  }

  /** Forgets everything that is not in `keys`. */
  keep(keys: ReadonlySet<string>): void {
    for (const key of this.#readings.keys()) if (!keys.has(key)) this.#readings.delete(key);
  }
}
