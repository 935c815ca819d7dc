import type { StorageEvent, WatchSink } from './storage.ts';

interface Subscriber {
  readonly prefix: string;
  /** The last revision delivered. */
  after: number;
  readonly sink: WatchSink;
}

/** Hands the events of one process to its watchers, each event at most once. */
export class Feed {
  readonly #subscribers = new Set<Subscriber>();

  /** Resolves when the signal aborts. */
  subscribe(subscriber: Subscriber, signal: AbortSignal): Promise<void> {
    if (signal.aborted) return Promise.resolve();
    this.#subscribers.add(subscriber);
    return new Promise((resolve) => {
      const end = () => {
        this.#subscribers.delete(subscriber);
        resolve();
      };
      signal.addEventListener('abort', end, { once: true });
    });
  }

  publish(events: readonly StorageEvent[]): void {
    const last = events.at(-1);
    if (!last) return;
    for (const subscriber of this.#subscribers) {
      // A subscriber that read the log itself may already have seen the first of these.
      const { after, prefix } = subscriber;
      const wanted = events.filter((e) => e.revision > after && e.key.startsWith(prefix));
      subscriber.after = Math.max(after, last.revision);
      if (wanted.length > 0) subscriber.sink.events(wanted);
      subscriber.sink.progress?.(last.revision);
    }
  }
}
