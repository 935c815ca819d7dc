import type { Change, ClusterEvent } from './cluster-events.ts';

interface Recorded {
  readonly number: number;
  readonly events: readonly ClusterEvent[];
  readonly change: Change;
  /** Set when it concerns this Pod only. */
  readonly uid: string | undefined;
}

/** Pods between queue and binding, and the events that they would otherwise miss. */
export class InFlight {
  /** uid → number of the first event after its pop; in the order of popping. */
  readonly #starts = new Map<string, number>();
  #events: Recorded[] = [];
  #next = 0;

  has(uid: string): boolean {
    return this.#starts.has(uid);
  }

  start(uid: string): void {
    this.#starts.set(uid, this.#next);
  }

  record(events: readonly ClusterEvent[], change: Change, uid?: string): void {
    if (this.#starts.size === 0) return;
    this.#events.push({ number: this.#next++, events, change, uid });
  }

  /** Ends the flight of a Pod that is not coming back. */
  end(uid: string): void {
    if (this.#starts.delete(uid)) this.#trim(this.#events[0]?.number ?? this.#next);
  }

  /** Ends the flight; answers whether something happened during it for which `helps` holds. */
  endWith(uid: string, helps: (event: Recorded) => boolean): boolean {
    const start = this.#starts.get(uid);
    if (start === undefined) return false;
    const first = this.#events[0]?.number ?? this.#next;
    let helped = false;
    for (let i = start - first; i < this.#events.length && !helped; i++) {
      const event = this.#events[i];
      helped = event !== undefined && (event.uid ?? uid) === uid && helps(event);
    }
    this.end(uid);
    return helped;
  }

  /** Drops what no Pod in flight needs any more, in large steps: slicing off one at a time would be slow. */
  #trim(first: number): void {
    const [oldest] = this.#starts.values();
    if (oldest === undefined) this.#events = [];
    else if (oldest - first > 1024) this.#events = this.#events.slice(oldest - first);
  }
}
