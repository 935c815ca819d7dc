import type { ResourceType } from '../api/resource-types.ts';
import type { WatchEvent } from '../api/types.ts';
import { FakeClient } from '../client/client.fake.ts';
import type { WatchOptions } from '../client/client.ts';
import { realClock } from '../util/clock.ts';

/** An API server whose watches are late: each kind by another time, as caches are behind in real life. */
export class LaggingClient extends FakeClient {
  readonly #lagMs: (resource: string) => number;

  constructor(lagMs: (resource: string) => number) {
    super({ now: () => Date.now() });
    this.#lagMs = lagMs;
  }

  override async *watch<T>(
    type: ResourceType<T>,
    options: WatchOptions,
    signal: AbortSignal,
  ): AsyncIterable<WatchEvent<T>> {
    for await (const event of super.watch(type, options, signal)) {
      await realClock.sleep(this.#lagMs(type.resource), signal).catch(() => {});
      if (signal.aborted) return;
      yield event;
    }
  }
}
