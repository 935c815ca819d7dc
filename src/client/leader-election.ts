import { isNotFound } from '../api/errors.ts';
import { LEASES, type ObjectKey } from '../api/resource-types.ts';
import { microTimeString } from '../api/times.ts';
import type { Lease } from '../api/types.ts';
import { type Clock, realClock } from '../util/clock.ts';
import { errorMessage } from '../util/errors.ts';
import type { Logger } from '../util/log.ts';
import { steadyClock } from '../util/steady-clock.ts';
import type { Client, EventRecorder } from './client.ts';
import { subjectOf } from './events.ts';

export interface LeaderElectionOptions {
  /** `kube-system/kube-controller-manager`. */
  readonly lease: ObjectKey;
  /** Unique among the candidates: `HOST_UUID`. */
  readonly identity: string;
  /** How long the others wait before they take a lease that is not renewed. Default 15 s. */
  readonly leaseMs?: number;
  /** How long the leader tries to renew before it gives up. Default 10 s. */
  readonly renewDeadlineMs?: number;
  /** Between two tries. Default 2 s. */
  readonly retryMs?: number;
}

interface ElectionDeps {
  readonly client: Client;
  readonly log: Logger;
  readonly events?: EventRecorder;
  readonly clock?: Clock;
  /** Measures how long leases last; default: `clock`, where one is given. */
  readonly steady?: Clock;
}

/** client-go spreads the tries of candidates over 1 to 2.2 retry periods. */
const JITTER = 1.2;

/**
 * One of several processes leads, by a Lease that it renews (client-go's leaderelection with upstream's times).
 * It does not promise that two never lead at once: a paused process finds out late.
 */
export class LeaderElector {
  readonly #deps: Required<Pick<ElectionDeps, 'client' | 'log' | 'clock' | 'steady'>> &
    ElectionDeps;
  readonly #options: Required<LeaderElectionOptions>;
  /** The lease as last seen, and when this process saw it change: clocks of others are not trusted. */
  #seen: { lease: Lease; at: number } | undefined;

  constructor(deps: ElectionDeps, options: LeaderElectionOptions) {
    const { clock = realClock, steady = deps.clock ?? steadyClock } = deps;
    this.#deps = { ...deps, clock, steady };
    this.#options = { leaseMs: 15_000, renewDeadlineMs: 10_000, retryMs: 2_000, ...options };
  }

  /**
   * Waits for the lead, then runs `lead`, whose signal aborts when the lead is lost or `signal` aborts.
   * Returns after a wished stop, the lease released; throws when the lead was lost: the process should end.
   */
  async run(signal: AbortSignal, lead: (signal: AbortSignal) => Promise<void>): Promise<void> {
    if (!(await this.#acquire(signal))) return;
    const { log, events } = this.#deps;
    const { identity, lease } = this.#options;
    log.info({ lease: lease.name, identity }, 'Became leader');
    events?.event(
      subjectOf(LEASES, lease),
      'Normal',
      'LeaderElection',
      `${identity} became leader`,
    );
    const leading = new AbortController();
    const renewing = new AbortController();
    const lost = this.#renew(AbortSignal.any([signal, renewing.signal])).finally(() =>
      leading.abort(),
    );
    const work = lead(AbortSignal.any([signal, leading.signal]));
    // Who has lost the lead does not wait for what is under way: a server that hangs would keep both for a minute.
    const ended = work.then(
      () => false,
      () => false,
    );
    const isLost = await Promise.race([ended, lost.then(() => !signal.aborted)]);
    if (isLost) throw new Error(`Lost the lease ${lease.name}`);
    try {
      await work;
    } finally {
      renewing.abort();
      await lost;
      await this.#release();
    }
    if (!signal.aborted) throw new Error(`Lost the lease ${lease.name}`);
  }

  async #acquire(signal: AbortSignal): Promise<boolean> {
    const { clock } = this.#deps;
    const { retryMs } = this.#options;
    for (let quiet = false; !signal.aborted; ) {
      try {
        if (await this.#tryHold()) return true;
        quiet = false;
      } catch (err) {
        this.#complain(quiet, err, 'Cannot take the lease; retrying');
        quiet = true;
      }
      await clock.sleep(retryMs * (1 + JITTER * Math.random()), signal).catch(() => {});
    }
    return false;
  }

  /** Returns when the lead is lost or not wanted any more. */
  async #renew(signal: AbortSignal): Promise<void> {
    const { clock, steady } = this.#deps;
    const { retryMs, renewDeadlineMs } = this.#options;
    let renewedAt = steady.now();
    for (let quiet = false; !signal.aborted; ) {
      await clock.sleep(retryMs, signal).catch(() => {});
      if (signal.aborted) return;
      // Others count from when the server took it: that may be long before its answer is here.
      const asked = steady.now();
      try {
        if (!(await this.#holdWithin(renewedAt + renewDeadlineMs - asked))) return;
        renewedAt = asked;
        quiet = false;
      } catch (err) {
        this.#complain(quiet, err, 'Cannot renew the lease; retrying');
        quiet = true;
        if (steady.now() - renewedAt >= renewDeadlineMs) return;
      }
    }
  }

  #complain(quiet: boolean, err: unknown, message: string): void {
    const { log } = this.#deps;
    log[quiet ? 'debug' : 'warn']({ err: errorMessage(err) }, message);
  }

  /** A server that does not answer in time counts as one that refuses: the lease runs out meanwhile. */
  async #holdWithin(ms: number): Promise<boolean> {
    const { clock, log } = this.#deps;
    const late = Promise.withResolvers<boolean>();
    const cancel = clock.after(ms, () => {
      log.warn(
        { lease: this.#options.lease.name },
        'No answer to the renewal of the lease in time',
      );
      late.resolve(false);
    });
    try {
      return await Promise.race([this.#tryHold(), late.promise]);
    } finally {
      cancel();
    }
  }

  /** True when this process holds the lease after the try. Throws when the server refuses or cannot be reached. */
  async #tryHold(): Promise<boolean> {
    const { client, clock } = this.#deps;
    const { identity } = this.#options;
    const current = await this.#read();
    if (!current) {
      this.#saw(await client.create(LEASES, this.#newLease()));
      return true;
    }
    this.#saw(current);
    const holder = current.spec?.holderIdentity ?? '';
    if (holder !== identity && holder !== '' && this.#isFresh()) return false;
    const now = microTimeString(clock.now());
    const ours = holder === identity;
    const spec = {
      ...this.#newLease().spec,
      ...(ours && current.spec?.acquireTime ? { acquireTime: current.spec.acquireTime } : {}),
      leaseTransitions: (current.spec?.leaseTransitions ?? 0) + (ours ? 0 : 1),
      renewTime: now,
    };
    this.#saw(await client.update(LEASES, { ...current, spec }));
    return true;
  }

  async #read(): Promise<Lease | undefined> {
    try {
      return await this.#deps.client.get(LEASES, this.#options.lease);
    } catch (err) {
      if (isNotFound(err)) return undefined;
      throw err;
    }
  }

  #newLease() {
    const { lease, identity, leaseMs } = this.#options;
    const now = microTimeString(this.#deps.clock.now());
    return {
      apiVersion: 'coordination.k8s.io/v1',
      kind: 'Lease',
      metadata: { ...lease },
      spec: {
        holderIdentity: identity,
        leaseDurationSeconds: Math.round(leaseMs / 1000),
        acquireTime: now,
        renewTime: now,
        leaseTransitions: 0,
      },
    };
  }

  #saw(lease: Lease): void {
    if (this.#seen?.lease.metadata.resourceVersion === lease.metadata.resourceVersion) return;
    this.#seen = { lease, at: this.#deps.steady.now() };
  }

  #isFresh(): boolean {
    if (!this.#seen) return false;
    const seconds = this.#seen.lease.spec?.leaseDurationSeconds ?? this.#options.leaseMs / 1000;
    return this.#deps.steady.now() < this.#seen.at + seconds * 1000;
  }

  /** Lets the next candidate lead at once. */
  async #release(): Promise<void> {
    const { client, clock, log } = this.#deps;
    const held = this.#seen?.lease;
    if (held?.spec?.holderIdentity !== this.#options.identity) return;
    const now = microTimeString(clock.now());
    const { leaseTransitions = 0 } = held.spec;
    const times = { acquireTime: now, renewTime: now };
    const spec = { holderIdentity: '', leaseDurationSeconds: 1, leaseTransitions, ...times };
    try {
      await client.update(LEASES, { ...held, spec });
    } catch (err) {
      log.debug({ err: errorMessage(err) }, 'Cannot release the lease');
    }
  }
}
