import type { Draft, Event } from '../api/types.ts';
import type { Clock } from '../util/clock.ts';

/** client-go's EventCorrelator: 10 similar events within 10 minutes are combined. */
const SIMILAR_MAX = 10;
const SIMILAR_WINDOW_MS = 600_000;
/** 25 events at once per source and object, then one in 5 minutes. */
const SPAM_BURST = 25;
const SPAM_REFILL_MS = 300_000;
const MAX_ENTRIES = 4096;

interface Aggregate {
  messages: Set<string>;
  at: number;
}

interface Observation {
  name: string;
  count: number;
  firstTimestamp: string | undefined;
}

interface Bucket {
  tokens: number;
  at: number;
}

/** What to write for one event. */
export interface Correlated {
  readonly key: string;
  readonly event: Draft<Event>;
  /** The same event was written before: count it there. */
  readonly repeated: boolean;
}

/** Decides whether an event is new, a repetition, one of many alike, or spam. */
export class EventCorrelator {
  readonly #clock: Clock;
  readonly #aggregates = new BoundedMap<Aggregate>(MAX_ENTRIES);
  readonly #observations = new BoundedMap<Observation>(MAX_ENTRIES);
  readonly #buckets = new BoundedMap<Bucket>(MAX_ENTRIES);

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Undefined: spam, write nothing. */
  correlate(draft: Draft<Event>): Correlated | undefined {
    const { event, key } = this.#aggregate(draft);
    const before = this.#observations.get(key);
    const count = (before?.count ?? 0) + 1;
    const name = before?.name ?? event.metadata.name ?? '';
    const firstTimestamp = before?.firstTimestamp ?? event.firstTimestamp;
    this.#observations.set(key, { name, count, firstTimestamp });
    if (!this.#allowed(sourceKey(draft))) return undefined;
    const metadata = { ...event.metadata, name };
    return { key, event: { ...event, metadata, count, firstTimestamp }, repeated: count > 1 };
  }

  /** What the server made of it. */
  stored(key: string, event: Event): void {
    const { count = 1, firstTimestamp } = event;
    this.#observations.set(key, { name: event.metadata.name, count, firstTimestamp });
  }

  #aggregate(event: Draft<Event>): { event: Draft<Event>; key: string } {
    const now = this.#clock.now();
    const message = event.message ?? '';
    const group = `${sourceKey(event)}\0${event.type}\0${event.reason}`;
    let entry = this.#aggregates.get(group);
    if (!entry || now - entry.at > SIMILAR_WINDOW_MS) entry = { messages: new Set(), at: now };
    entry.at = now;
    entry.messages.add(message);
    this.#aggregates.set(group, entry);
    if (entry.messages.size < SIMILAR_MAX) return { event, key: `${group}\0${message}` };
    const [oldest = ''] = entry.messages;
    entry.messages.delete(oldest);
    const combined = `(combined from similar events): ${message}`;
    return { event: { ...event, message: combined }, key: group };
  }

  #allowed(key: string): boolean {
    const now = this.#clock.now();
    const { tokens, at } = this.#buckets.get(key) ?? { tokens: SPAM_BURST, at: now };
    const filled = Math.min(SPAM_BURST, tokens + (now - at) / SPAM_REFILL_MS);
    const allowed = filled >= 1;
    this.#buckets.set(key, { tokens: allowed ? filled - 1 : filled, at: now });
    return allowed;
  }
}

function sourceKey({ source, involvedObject: about }: Draft<Event>): string {
  return [
    source?.component,
    source?.host,
    about.kind,
    about.namespace,
    about.name,
    about.uid,
    about.apiVersion,
    about.fieldPath,
  ].join('\0');
}

/** Forgets what was used longest ago when it is full. */
class BoundedMap<V> {
  readonly #max: number;
  readonly #map = new Map<string, V>();

  constructor(max: number) {
    this.#max = max;
  }

  get(key: string): V | undefined {
    return this.#map.get(key);
  }

  set(key: string, value: V): void {
    this.#map.delete(key);
    this.#map.set(key, value);
    if (this.#map.size <= this.#max) return;
    const oldest = this.#map.keys().next();
    if (!oldest.done) this.#map.delete(oldest.value);
  }
}
