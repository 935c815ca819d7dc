import type { Node } from '../api/types.ts';
import type { Clock } from '../util/clock.ts';
import type { IpFamily } from './model.ts';

const BEING_DELETED = 'ToBeDeletedByClusterAutoscaler';

export interface HealthAnswer {
  readonly healthy: boolean;
  readonly body: {
    lastUpdated: string;
    currentTime: string;
    nodeEligible?: boolean;
  };
}

/**
 * Whether the proxy keeps up: a change that has waited longer than `timeoutMs` for the kernel makes it unhealthy.
 * Load balancers take a node out by /healthz, which also minds that the node is leaving (KEP-3836).
 */
export class ProxyHealth {
  readonly #clock: Clock;
  readonly #timeoutMs: number;
  readonly #node: () => Node | undefined;
  readonly #oldestQueued = new Map<IpFamily, number>();
  readonly #updated = new Map<IpFamily, number>();

  constructor(clock: Clock, options: { timeoutMs: number; node: () => Node | undefined }) {
    this.#clock = clock;
    this.#timeoutMs = options.timeoutMs;
    this.#node = options.node;
  }

  /** A change waits to be written. */
  queued(family: IpFamily): void {
    if (!this.#oldestQueued.has(family)) this.#oldestQueued.set(family, this.#clock.now());
  }

  /** The kernel holds everything that was known. */
  updated(family: IpFamily): void {
    this.#oldestQueued.delete(family);
    this.#updated.set(family, this.#clock.now());
  }

  livez(): HealthAnswer {
    const now = this.#clock.now();
    const healthy = [...this.#oldestQueued.values()].every(
      (since) => now - since <= this.#timeoutMs,
    );
    const synced = this.#updated.size > 0;
    const lastUpdated = healthy ? now : Math.max(0, ...this.#updated.values());
    return {
      healthy: healthy && synced,
      body: { lastUpdated: time(lastUpdated), currentTime: time(now) },
    };
  }

  healthz(): HealthAnswer {
    const { healthy, body } = this.livez();
    const node = this.#node();
    const leaving =
      node?.metadata.deletionTimestamp !== undefined ||
      (node?.spec?.taints ?? []).some(({ key }) => key === BEING_DELETED);
    return { healthy: healthy && !leaving, body: { ...body, nodeEligible: !leaving } };
  }
}

function time(ms: number): string {
  return new Date(ms).toISOString();
}
