import { vi } from 'vitest';
import { PODS } from '../api/resource-types.ts';
import type { Pod } from '../api/types.ts';
import { FakeClient } from '../client/client.fake.ts';
import { FakeEvents } from '../client/events.fake.ts';
import { InformerFactory } from '../client/informer-factory.ts';
import { type Clock, realClock } from '../util/clock.ts';
import { silent } from '../util/log.ts';
import type { ControllerContext, ControllerFactory, ManagerOptions } from './context.ts';

const OPTIONS: ManagerOptions = {
  legacyTokenCleanUpPeriodMs: 365 * 24 * 3_600_000,
  clusterCidrs: [],
  allocateNodeCidrs: false,
  nodeCidrMaskSizeIpv4: 24,
  nodeCidrMaskSizeIpv6: 64,
  serviceCidrs: [],
  nodeMonitorGracePeriodMs: 50_000,
  nodeMonitorPeriodMs: 5_000,
  nodeStartupGracePeriodMs: 60_000,
  nodeEvictionRate: 0.1,
  secondaryNodeEvictionRate: 0.01,
  unhealthyZoneThreshold: 0.55,
  largeClusterSizeThreshold: 50,
  terminatedPodGcThreshold: 12_500,
  resourceQuotaSyncPeriodMs: 300_000,
  hpaSyncPeriodMs: 15_000,
  hpaDownscaleStabilizationMs: 300_000,
  hpaTolerance: 0.1,
  hpaCpuInitializationMs: 300_000,
  hpaInitialReadinessMs: 30_000,
  endpointsBatchMs: 0,
  endpointSlicesBatchMs: 0,
  mirroredSlicesBatchMs: 0,
  maxEndpointsPerSlice: 100,
  maxMirroredPerSubset: 1000,
  localPath: { directory: '/volumes', image: 'busybox' },
};

/** Controllers at work on an API server in memory, in real time: tests wait for what they expect. */
export class World {
  readonly client: FakeClient;
  readonly events = new FakeEvents();
  readonly informers: InformerFactory;
  readonly #stop = new AbortController();
  #running: Promise<unknown> = Promise.resolve();

  readonly #clock: Clock;

  constructor(client = new FakeClient({ now: () => Date.now() }), clock: Clock = realClock) {
    this.client = client;
    this.#clock = clock;
    this.informers = new InformerFactory(client, { clock: realClock });
  }

  start(factories: readonly ControllerFactory[], options: Partial<ManagerOptions> = {}): void {
    const { client, informers, events } = this;
    const context: ControllerContext = {
      client,
      informers,
      clock: this.#clock,
      log: silent,
      observer: { made() {}, added() {}, waited() {}, reconciled() {} },
      workers: 5,
      options: { ...OPTIONS, ...options },
      events: () => events,
    };
    const loops = factories.flatMap((factory) => factory(context));
    const { signal } = this.#stop;
    this.#running = Promise.all([informers.run(signal), ...loops.map((loop) => loop.run(signal))]);
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }

  /** Resolves when `check` no longer throws. */
  async until(check: () => unknown): Promise<void> {
    await vi.waitFor(check, { timeout: 30_000, interval: 5 });
  }

  /** Waits until nothing has been written for a while: controllers at rest. */
  async atRest(ms = 60): Promise<void> {
    let seen = -1;
    while (seen !== this.client.actions.length) {
      seen = this.client.actions.length;
      await realClock.sleep(ms);
    }
  }

  /** Says of Pods what a kubelet would: they run, and are ready or not. */
  async setPods(
    select: (pod: Pod) => boolean,
    state: { ready: boolean; phase?: string; ip?: string },
  ): Promise<void> {
    for (const { metadata } of this.client.all(PODS).filter(select)) {
      const pod = this.client.all(PODS).find((one) => one.metadata.uid === metadata.uid);
      if (!pod) continue; // Deleted while others were told of.
      const now = new Date().toISOString();
      const status = {
        ...pod.status,
        phase: state.phase ?? 'Running',
        podIP: pod.status?.podIP ?? state.ip ?? '10.0.0.1',
        conditions: [
          { type: 'Ready', status: state.ready ? 'True' : 'False', lastTransitionTime: now },
        ],
      };
      await this.client.update(PODS, { ...pod, status }, { subresource: 'status' });
    }
  }
}
