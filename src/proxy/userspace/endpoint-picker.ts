import type { Clock } from '../../util/clock.ts';
import type { Endpoint } from '../model.ts';

// Clients that are remembered for session affinity at most; the one that was silent for longest makes room.
const MAX_CLIENTS = 65_536;

/** Whose turn it is: round robin, but a client with session affinity stays where it was. */
export class EndpointPicker {
  readonly #clock: Clock;
  #endpoints: readonly Endpoint[] = [];
  #affinityMs: number | undefined;
  #turn = 0;
  /** In the order of last use. */
  readonly #clients = new Map<string, { address: string; usedAt: number }>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  update(endpoints: readonly Endpoint[], affinitySeconds: number | undefined): void {
    this.#endpoints = endpoints;
    this.#affinityMs = affinitySeconds === undefined ? undefined : affinitySeconds * 1000;
    if (affinitySeconds === undefined) this.#clients.clear();
  }

  get endpoints(): readonly Endpoint[] {
    return this.#endpoints;
  }

  /** The endpoint for a client's next connection; undefined when there is none. */
  pick(client: string): Endpoint | undefined {
    if (this.#affinityMs === undefined) return this.#next();
    const now = this.#clock.now();
    const known = this.#clients.get(client);
    const fresh = known && now - known.usedAt < this.#affinityMs ? known.address : undefined;
    const endpoint = this.#endpoints.find(({ address }) => address === fresh) ?? this.#next();
    this.#clients.delete(client);
    if (!endpoint) return undefined;
    this.#forgetOld(now - this.#affinityMs);
    this.#clients.set(client, { address: endpoint.address, usedAt: now });
    return endpoint;
  }

  /** The client's endpoint does not answer: its next connection may go elsewhere. */
  forget(client: string): void {
    this.#clients.delete(client);
  }

  #next(): Endpoint | undefined {
    const endpoint = this.#endpoints[this.#turn % this.#endpoints.length];
    this.#turn = (this.#turn + 1) % Math.max(1, this.#endpoints.length);
    return endpoint;
  }

  #forgetOld(before: number): void {
    for (const [client, { usedAt }] of this.#clients) {
      if (usedAt > before && this.#clients.size < MAX_CLIENTS) return;
      this.#clients.delete(client);
    }
  }
}
