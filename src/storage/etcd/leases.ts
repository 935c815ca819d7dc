import { randomInt } from 'node:crypto';
import type { Clock } from '../../util/clock.ts';
import type { EtcdConnection } from './connection.ts';

// One lease serves all keys that are written within a twentieth of their life, a minute at most (as upstream).
const SHARE = 0.05;
const SHARE_MAX_SECONDS = 60;
const MAX_ID = 2 ** 48 - 1;

/** Leases for keys with a time to live, shared by keys that are written shortly after one another. */
export class Leases {
  readonly #connection: EtcdConnection;
  readonly #clock: Clock;
  readonly #current = new Map<number, { id: Promise<number>; until: number }>();

  constructor(deps: { connection: EtcdConnection; clock: Clock }) {
    this.#connection = deps.connection;
    this.#clock = deps.clock;
  }

  /** A lease that ends `ttlSeconds` from now or a little later. */
  leaseFor(ttlSeconds: number): Promise<number> {
    const now = this.#clock.now();
    const known = this.#current.get(ttlSeconds);
    if (known && known.until > now) return known.id;
    const shared = Math.min(Math.floor(ttlSeconds * SHARE), SHARE_MAX_SECONDS);
    const id = this.#grant(ttlSeconds + shared);
    this.#current.set(ttlSeconds, { id, until: now + shared * 1000 });
    id.catch(() => this.#current.delete(ttlSeconds));
    return id;
  }

  /** When a key with this lease vanishes, in milliseconds since the epoch. */
  async expiryOf(lease: number): Promise<number> {
    const { TTL } = await this.#connection.call<{ TTL: number }>('Lease.LeaseTimeToLive', {
      ID: lease,
    });
    return this.#clock.now() + Math.max(0, TTL) * 1000;
  }

  async #grant(seconds: number): Promise<number> {
    // etcd's own choice would not fit into a number.
    const ID = randomInt(1, MAX_ID);
    // A second one of the same name is refused.
    await this.#connection.propose('Lease.LeaseGrant', { TTL: seconds, ID }, () => true);
    return ID;
  }
}
