import type { EndpointSlice, Node, Service } from '../api/types.ts';
import type { Informer } from '../client/client.ts';
import type { Conntrack } from '../host/conntrack.ts';
import type { Clock } from '../util/clock.ts';
import { errorMessage, isAbort } from '../util/errors.ts';
import { runAll } from '../util/lifecycle.ts';
import type { Logger } from '../util/log.ts';
import type { ProxyBackend } from './backend.ts';
import { ChangeTracker } from './change-tracker.ts';
import type { ProxyMetrics } from './metrics.ts';
import type { IpFamily, ProxyState, ServicePort } from './model.ts';
import type { ProxyHealth } from './proxy-health.ts';
import type { ServiceHealthServer } from './service-health.ts';
import type { ServicePortOptions } from './service-ports.ts';
import { changedUdpServices, staleFlows } from './stale-flows.ts';
import { SyncRunner } from './sync-runner.ts';

const ZONE = 'topology.kubernetes.io/zone';

export interface ProxyDeps {
  readonly services: Informer<Service>;
  readonly endpointSlices: Informer<EndpointSlice>;
  /** Selects this node only. */
  readonly nodes: Informer<Node>;
  /** One for each family that is routed. */
  readonly backends: readonly ProxyBackend[];
  readonly conntrack: Conntrack;
  readonly health: ProxyHealth;
  readonly serviceHealth: ServiceHealthServer;
  readonly metrics: ProxyMetrics;
  readonly clock: Clock;
  readonly log: Logger;
}

export interface ProxyOptions extends ServicePortOptions {
  readonly nodeName: string;
  readonly minSyncPeriodMs: number;
  /** How often the kernel is asked whether our rules are still there, and how soon a failed sync is retried at the latest. */
  readonly syncPeriodMs: number;
}

/** informers → change tracker → sync runner → backend, once per address family. */
export class ServiceProxy {
  readonly #deps: ProxyDeps;
  readonly #routers: FamilyRouter[];
  readonly #states = new Map<IpFamily, ProxyState>();

  constructor(deps: ProxyDeps, options: ProxyOptions) {
    this.#deps = deps;
    this.#routers = deps.backends.map(
      (backend) =>
        new FamilyRouter(backend, { ...deps, onState: (s) => this.#onState(s) }, options),
    );
  }

  #onState(state: ProxyState): void {
    this.#states.set(state.family, state);
    this.#deps.serviceHealth.update(this.#states.values());
  }

  /** Works until aborted. Writes no rule before all of the API server's objects are known. */
  async run(signal: AbortSignal): Promise<void> {
    const { services, endpointSlices, nodes } = this.#deps;
    for (const router of this.#routers) router.subscribe();
    const informers = [services, endpointSlices, nodes];
    const listing = informers.map((informer) => informer.run(signal));
    const routing = async () => {
      await Promise.all(informers.map((informer) => informer.whenSynced(signal)));
      await Promise.all(this.#routers.map((router) => router.run(signal)));
    };
    try {
      await runAll(signal, [...listing, routing()]);
    } finally {
      this.#deps.serviceHealth.close();
    }
  }
}

interface RouterDeps extends ProxyDeps {
  /** Told what the kernel holds now. */
  readonly onState: (state: ProxyState) => void;
}

const FIRST_RETRY_MS = 1_000;
// Flows of UDP that nobody uses end by themselves: who changed long before the others need not be remembered.
const MAX_FORMER = 1_000;

class FamilyRouter {
  readonly #backend: ProxyBackend;
  readonly #deps: RouterDeps;
  readonly #options: ProxyOptions;
  readonly #tracker: ChangeTracker;
  readonly #runner: SyncRunner;
  readonly #labels: { ip_family: string };
  readonly #startedAt: number;
  #signal: AbortSignal = AbortSignal.abort();
  #full = true;
  /** Of the node, as far as rules name them. */
  #nodeFacts = '';
  #retryMs = FIRST_RETRY_MS;
  readonly #udpServices = new Map<string, ServicePort>();
  /** What the kernel translates to. */
  #routed: ProxyState | undefined;
  /** What UDP services were before they changed, as long as their stale flows may still be there. */
  #formerUdp: readonly ServicePort[] | undefined;
  #clearRetryMs = FIRST_RETRY_MS;

  constructor(backend: ProxyBackend, deps: RouterDeps, options: ProxyOptions) {
    this.#backend = backend;
    this.#deps = deps;
    this.#options = options;
    const node = { name: options.nodeName, zone: undefined };
    this.#tracker = new ChangeTracker(backend.family, node, options);
    this.#labels = { ip_family: `IPv${backend.family}` };
    this.#startedAt = deps.clock.now();
    this.#runner = new SyncRunner(() => this.#sync(), deps.clock, {
      minIntervalMs: options.minSyncPeriodMs,
      maxIntervalMs: options.syncPeriodMs,
    });
  }

  subscribe(): void {
    const { services, endpointSlices, nodes, metrics } = this.#deps;
    services.addHandler(
      this.#handler(metrics.serviceChanges, {
        set: (service) => this.#tracker.setService(service),
        remove: (service) => this.#tracker.deleteService(service),
      }),
    );
    endpointSlices.addHandler(
      this.#handler(metrics.endpointChanges, {
        set: (slice) => this.#tracker.setSlice(slice),
        remove: (slice) => this.#tracker.deleteSlice(slice),
      }),
    );
    nodes.addHandler(
      this.#handler(undefined, {
        set: (node) => this.#setNode(node),
        remove: () => {},
      }),
    );
  }

  async run(signal: AbortSignal): Promise<void> {
    this.#signal = signal;
    this.#runner.request();
    try {
      await this.#runner.run(signal);
    } finally {
      this.#backend.close?.();
    }
  }

  #setNode({ metadata, spec, status }: Node): void {
    this.#tracker.setNode({ name: metadata.name, zone: metadata.labels?.[ZONE] });
    // Rules may name the node's own addresses and its Pods' ranges: all of them are written anew.
    const facts = JSON.stringify([status?.addresses ?? [], spec?.podCIDRs ?? []]);
    if (facts === this.#nodeFacts) return;
    this.#nodeFacts = facts;
    this.#full = true;
  }

  #handler<T>(
    changes: ProxyMetrics['serviceChanges'] | undefined,
    apply: { set: (object: T) => void; remove: (object: T) => void },
  ) {
    const told = (act: () => void) => {
      act();
      changes?.inc(this.#labels);
      if (!this.#tracker.pending && !this.#full) return;
      this.#deps.health.queued(this.#backend.family);
      this.#deps.metrics.lastQueued.set(this.#labels, this.#deps.clock.now() / 1000);
      this.#runner.request();
    };
    return {
      onAdd: (object: T) => told(() => apply.set(object)),
      onUpdate: (_before: T, after: T) => told(() => apply.set(after)),
      onDelete: (object: T) => told(() => apply.remove(object)),
    };
  }

  async #sync(): Promise<void> {
    const { log } = this.#deps;
    try {
      if (!this.#full && !this.#tracker.pending) await this.#lookAfterRules();
      if (this.#full || this.#tracker.pending) await this.#write();
      if (this.#routed) await this.#clearStaleFlows(this.#routed);
      this.#deps.health.updated(this.#backend.family);
      this.#retryMs = FIRST_RETRY_MS;
    } catch (err) {
      if (this.#signal.aborted && isAbort(err)) return;
      log.error({ ...this.#labels, err: errorMessage(err) }, 'Failed to sync proxy rules');
      this.#deps.metrics.restoreFailures.inc(this.#labels);
      this.#full = true;
      this.#deps.clock.after(this.#retryMs, () => this.#runner.request());
      this.#retryMs = Math.min(this.#retryMs * 2, this.#options.syncPeriodMs);
    }
  }

  async #lookAfterRules(): Promise<void> {
    if (await this.#backend.intact(this.#signal)) return;
    this.#deps.log.warn(this.#labels, 'Proxy rules were removed by somebody; writing them again');
    this.#full = true;
  }

  async #write(): Promise<void> {
    const { metrics, clock, log } = this.#deps;
    const full = this.#full;
    const started = performance.now();
    const triggers = this.#tracker.takeTriggerTimes();
    const now = this.#tracker.state();
    // A sync that failed may have left anything behind.
    const state = full ? { ...now, changed: undefined } : now;
    this.#full = false; // Before the wait: what happens meanwhile may ask for another full sync.
    const routed = await this.#backend.sync(state, { full }, this.#signal);
    const seconds = (performance.now() - started) / 1000;
    metrics.syncDuration.observe(this.#labels, seconds);
    (full ? metrics.syncFullDuration : metrics.syncPartialDuration).observe(this.#labels, seconds);
    const syncedAt = clock.now();
    metrics.lastSync.set(this.#labels, syncedAt / 1000);
    for (const time of triggers) {
      if (time < this.#startedAt) continue;
      metrics.networkProgramming.observe(this.#labels, (syncedAt - time) / 1000);
    }
    log.debug({ ...this.#labels, full, seconds, services: state.services.size }, 'Synced rules');
    this.#countUnserved(state);
    this.#routed = routed;
    this.#deps.onState(state);
  }

  /** UDP flows are cleared after the rules are there: the next packet must meet the new ones. What fails is done again. */
  async #clearStaleFlows(state: ProxyState): Promise<void> {
    const { conntrack, clock } = this.#deps;
    const changed = changedUdpServices(this.#udpServices, state);
    if (changed) this.#formerUdp = [...(this.#formerUdp ?? []), ...changed].slice(-MAX_FORMER);
    const former = this.#formerUdp;
    if (!former) return;
    try {
      const flows = await conntrack.udpFlows(state.family, this.#signal);
      for (const flow of staleFlows(flows, state, former)) {
        await conntrack.deleteUdpFlow(state.family, flow, this.#signal);
      }
      this.#formerUdp = undefined;
      this.#clearRetryMs = FIRST_RETRY_MS;
    } catch (err) {
      if (this.#signal.aborted && isAbort(err)) throw err;
      this.#deps.log.error({ err: errorMessage(err) }, 'Failed to clear stale UDP flows');
      clock.after(this.#clearRetryMs, () => this.#runner.request());
      this.#clearRetryMs = Math.min(this.#clearRetryMs * 2, this.#options.syncPeriodMs);
    }
  }

  #countUnserved(state: ProxyState): void {
    let internal = 0;
    let external = 0;
    for (const { endpoints, internalLocal, externalLocal } of state.services.values()) {
      if (!endpoints.any || endpoints.local.length > 0) continue;
      if (internalLocal) internal++;
      if (externalLocal) external++;
    }
    const { noLocalEndpoints } = this.#deps.metrics;
    noLocalEndpoints.set({ ...this.#labels, traffic_policy: 'internal' }, internal);
    noLocalEndpoints.set({ ...this.#labels, traffic_policy: 'external' }, external);
  }
}
