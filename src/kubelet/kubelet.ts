import { join } from 'node:path';
import { PODS, SERVICES } from '../api/resource-types.ts';
import type { Pod, Service } from '../api/types.ts';
import type { Informer } from '../client/client.ts';
import type { MachineFacts } from '../host/machine.ts';
import { errorMessage } from '../util/errors.ts';
import { parseDuration } from './config.ts';
import { ConfigObjects } from './config-objects.ts';
import type { CsiDrivers } from './csi/csi-drivers.ts';
import type { CsiVolumes } from './csi/csi-volumes.ts';
import { readResolvConf } from './dns.ts';
import { endInTime } from './end-in-time.ts';
import { EvictionManager } from './eviction/eviction-manager.ts';
import { Housekeeping } from './housekeeping.ts';
import { ImageCollector } from './image-collector.ts';
import type { KubeletDeps, KubeletOptions } from './kubelet-deps.ts';
import { podLogRotation } from './logs/pod-log-rotation.ts';
import { countProbe, type KubeletMetrics } from './metrics.ts';
import { enforceAllocatable } from './node/enforce-allocatable.ts';
import { tellHostWarnings } from './node/host-warnings.ts';
import { podsLimits } from './node/node-object.ts';
import { NodeReporter } from './node/node-reporter.ts';
import { NodePlugins } from './node-plugins.ts';
import { NodeShutdown } from './node-shutdown.ts';
import { watchSystemOom } from './oom-watcher.ts';
import { Pleg } from './pleg.ts';
import { type PodDirs, podDirs } from './pod-dirs.ts';
import { PodGroups } from './pod-groups.ts';
import { PodSources } from './pod-sources.ts';
import { createPodStages } from './pod-stages.ts';
import type { Failure } from './pod-state.ts';
import { PodWorkers } from './pod-workers.ts';
import { ProbeManager } from './probes/probe-manager.ts';
import { PullRecords } from './pull-records.ts';
import { Allocations } from './resize/allocations.ts';
import type { ContainerRuntime } from './runtime/runtime.ts';
import { networkProblem, RuntimeHealth } from './runtime-problems.ts';
import { StatsProvider } from './stats/stats-provider.ts';
import { StatusManager } from './status-manager.ts';
import { terminationMessage } from './termination-message.ts';
import { ServiceAccountTokens } from './volumes/service-account-tokens.ts';
import type { VolumeExpansion } from './volumes/volume-expansion.ts';

/**
 * The node agent: pods that the API server binds to this node → one worker per pod → the container runtime →
 * what runs (PLEG, probes) → each pod's status back to the API server.
 */
export class Kubelet {
  readonly options: KubeletOptions;
  readonly runtime: ContainerRuntime;
  readonly pleg: Pleg;
  readonly workers: PodWorkers;
  readonly node: NodeReporter;
  readonly status: StatusManager;
  readonly dirs: PodDirs;
  readonly stats: StatsProvider;
  readonly metrics: KubeletMetrics;
  readonly machine: MachineFacts;
  readonly checkpoints: string;
  readonly #deps: KubeletDeps;
  readonly #pods: Informer<Pod>;
  readonly #services: Informer<Service>;
  readonly #probes: ProbeManager;
  readonly #groups: PodGroups;
  readonly #allocations: Allocations;
  readonly #drivers: CsiDrivers;
  readonly #csi: CsiVolumes;
  readonly #expansion: VolumeExpansion;
  readonly #plugins: NodePlugins;
  readonly #configObjects: ConfigObjects;
  readonly #housekeeping: Housekeeping;
  readonly #eviction: EvictionManager;
  readonly #shutdown: NodeShutdown;
  readonly #pullRecords: PullRecords;
  readonly #images: ImageCollector;
  readonly #tokens: ServiceAccountTokens;
  readonly #sources: PodSources;
  #podCidr = '';
  /** Every pod that the API binds to this node is known. */
  #heard = false;

  constructor(deps: KubeletDeps, options: KubeletOptions) {
    this.#deps = deps;
    this.options = options;
    const { runtime, clock, log, client, informers, cgroups } = deps;
    const { config, nodeName, rootDir } = options;
    this.runtime = runtime;
    this.metrics = deps.metrics;
    this.machine = deps.machine;
    this.checkpoints = join(rootDir, 'checkpoints');
    this.dirs = podDirs(rootDir, config.podLogsDir);
    this.#allocations = new Allocations({ dirs: this.dirs });
    this.#pods = informers(PODS, { fieldSelector: `spec.nodeName=${nodeName}` });
    this.#services = informers(SERVICES, {});
    this.pleg = this.#makePleg();
    this.#probes = this.#makeProbes();
    this.#configObjects = new ConfigObjects({ informers, onChange: this.#wake });
    this.#tokens = new ServiceAccountTokens({ client, clock, onDue: this.#wake });
    const podPidsLimit = Math.max(0, config.podPidsLimit);
    this.#groups = new PodGroups({ cgroups }, { root: config.cgroupRoot, podPidsLimit });
    this.status = new StatusManager({
      client,
      clock,
      log,
      mirrorOf: (pod) => this.#sources.mirrorOf(pod),
      onDeleted: (uid) => this.status.forget(uid),
    });
    this.#plugins = this.#makePlugins();
    const policy = config.imagePullCredentialsVerificationPolicy;
    this.#pullRecords = new PullRecords({ clock, rootDir, policy });
    this.node = this.#makeNode();
    const { stages, volumes, drivers, csi, expansion, outsideVolumes } = this.#makeStages();
    this.#csi = csi;
    this.#expansion = expansion;
    const onGone = (): void => this.#sources.podLeft();
    this.workers = new PodWorkers({ stages, clock, log, onGone });
    this.#sources = this.#makeSources();
    const { pleg, workers, dirs } = this;
    const groups = this.#groups;
    this.stats = new StatsProvider({
      ...deps,
      ...options,
      groups,
      workers,
      pleg,
      dirs,
      outsideVolumes,
      podsMemory: this.#podsMemory,
    });
    this.#drivers = drivers;
    this.#images = this.#makeImageCollector();
    this.#eviction = this.#makeEviction();
    this.#shutdown = this.#makeShutdown();
    this.#housekeeping = new Housekeeping({ ...deps, pleg, workers, volumes, groups, dirs });
  }

  readonly #wake = (uid: string): void => this.workers.wake(uid);
  readonly #end = (uid: string, why: Failure): void => {
    const { recorder, steady: clock } = this.#deps;
    endInTime({ recorder, clock, workers: this.workers }, uid, why);
  };
  readonly #podsMemory = () =>
    this.#groups.memoryLeft(podsLimits(this.machine, this.options.config));
  readonly #hostIps = (): readonly string[] => this.options.nodeIps;

  #makePleg(): Pleg {
    const { runtime, clock, log } = this.#deps;
    return new Pleg({
      runtime,
      clock,
      log,
      terminationMessage: (container, pod) => terminationMessage(container, pod, this.dirs),
      onChange: this.#wake,
      onRelist: (ms) => this.metrics.plegRelist.observe(ms / 1000),
      onOom: (uid, id) => log.warn({ uid, id }, 'Out of memory in a container'),
    });
  }

  #makeProbes(): ProbeManager {
    return new ProbeManager({
      ...this.#deps,
      hostIps: this.#hostIps,
      mirrorOf: (pod) => this.#sources.mirrorOf(pod),
      onChange: (uid) => this.workers.probed(uid),
      onRun: ({ kind, outcome, pod, container }) =>
        countProbe(this.metrics, { kind, result: outcome.result, pod, container }),
    });
  }

  #makePlugins(): NodePlugins {
    return new NodePlugins({
      ...this.#deps,
      ...this.options,
      cpus: this.machine.cpus,
      drivers: () => this.#drivers,
      pods: () => this.workers.active().map(({ pod }) => pod),
      isGone: (uid) => this.#heard && this.workers.get(uid) === undefined,
      onDevices: () => this.node.poke(),
    });
  }

  #makeNode(): NodeReporter {
    const { client, runtime, recorder, clock, log, machine } = this.#deps;
    const { config, rootDir, nodeName, labels, gitVersion } = this.options;
    const health = new RuntimeHealth(clock);
    return new NodeReporter({
      client,
      runtime,
      recorder,
      clock,
      log,
      machine,
      config,
      rootDir,
      name: nodeName,
      labels,
      addresses: this.#hostIps,
      gitVersion,
      devices: () => this.#plugins.devices.resources(),
      volumesInUse: () => this.#csi.volumesInUse(),
      conditions: async (asked) => ({
        problems: [...health.problems(asked?.conditions), ...this.#shutdown.problems],
        pressure: this.#eviction.pressure,
      }),
      onPodCidr: (cidr) => this.#usePodCidr(cidr),
    });
  }

  #makeImageCollector(): ImageCollector {
    const { config, nodeName } = this.options;
    return new ImageCollector(
      { ...this.#deps, records: this.#pullRecords },
      {
        nodeName,
        high: config.imageGCHighThresholdPercent,
        low: config.imageGCLowThresholdPercent,
        minimumAgeMs: parseDuration(config.imageMinimumGCAge),
        maximumAgeMs: parseDuration(config.imageMaximumGCAge),
      },
    );
  }

  #makeEviction(): EvictionManager {
    return new EvictionManager(
      {
        ...this.#deps,
        stats: this.stats,
        dirs: this.dirs,
        clock: this.#deps.steady,
        active: () => this.workers.staying(),
        evict: this.#end,
        isCleared: (uid) => this.workers.isCleared(uid),
        podsMemory: this.#podsMemory,
        reclaimDisk: async (signal) => {
          await this.#housekeeping.removeDead(signal);
          await this.#images.removeUnused(signal);
        },
        onPressure: () => this.node.poke(),
      },
      this.options,
    );
  }

  #makeShutdown(): NodeShutdown {
    const { logind, steady: clock, log } = this.#deps;
    const { shutdownGracePeriod, shutdownGracePeriodCriticalPods } = this.options.config;
    return new NodeShutdown(
      {
        logind,
        clock,
        log,
        pods: () => this.workers.active().map(({ pod }) => pod),
        end: this.#end,
        isOver: (uid) => this.workers.get(uid)?.over ?? true,
        told: () => this.status.flush(),
        onChange: () => this.node.poke(),
      },
      {
        totalMs: parseDuration(shutdownGracePeriod),
        criticalMs: parseDuration(shutdownGracePeriodCriticalPods),
      },
    );
  }

  #makeSources(): PodSources {
    const { config, nodeName } = this.options;
    return new PodSources({
      ...this.#deps,
      pods: this.#pods,
      staticPodPath: config.staticPodPath,
      fileCheckMs: parseDuration(config.fileCheckFrequency),
      nodeName,
      node: () => this.node.node,
      update: (pod) => this.workers.update(this.#allocations.view(pod)),
      remove: (uid) => this.workers.remove(uid),
      isHere: (uid) => this.workers.get(uid) !== undefined,
      retell: (pod) => this.status.retell(pod, () => this.workers.tell(pod.metadata.uid)),
    });
  }

  #makeStages(): ReturnType<typeof createPodStages> {
    const { pleg, dirs, status, node } = this;
    return createPodStages(
      {
        ...this.#deps,
        pleg,
        dirs,
        status,
        groups: this.#groups,
        probes: this.#probes,
        configObjects: this.#configObjects,
        devices: this.#plugins.devices,
        claims: this.#plugins.claims,
        pullRecords: this.#pullRecords,
        tokens: this.#tokens,
        services: () => this.#services.list(),
        node,
        networkProblem: () => networkProblem(node.runtimeStatus?.conditions),
        resolver: () => readResolvConf(this.options.config.resolvConf),
        pressure: (pod) => this.#shutdown.refusal() ?? this.#eviction.refusal(pod),
        others: (uid) =>
          this.workers
            .active()
            .filter((state) => state.uid !== uid)
            .map((state) => state.pod),
        isEnding: (uid) => this.workers.isTerminating(uid),
        allocations: this.#allocations,
        wake: this.#wake,
        fail: this.#end,
      },
      this.options,
    );
  }

  /** Works until aborted; containers are left running. */
  async run(signal: AbortSignal): Promise<void> {
    await this.#prepare(signal);
    await tellHostWarnings({ ...this.#deps, ...this.options });
    const loops = [this.#pods.run(signal), this.#services.run(signal), this.node.run(signal)];
    await this.#firstLook(signal);
    signal.addEventListener('abort', () => this.#stop(), { once: true });
    await this.#sources.lookAtFiles();
    loops.push(this.pleg.run(signal), this.#sources.runStatic(signal), this.#plugins.run(signal));
    loops.push(
      podLogRotation({ ...this.#deps, pleg: this.pleg }, this.options.config).run(signal),
      this.#eviction.run(signal),
    );
    loops.push(this.#images.run(signal), this.#shutdown.run(signal));
    loops.push(watchSystemOom({ ...this.#deps, ...this.options }, signal));
    loops.push(this.#expansion.run(signal));
    await Promise.all([...loops, this.#followApi(signal)]);
  }

  /** What nobody has is cleared away only when every source has been heard. */
  async #followApi(signal: AbortSignal): Promise<void> {
    await Promise.all([this.#services.whenSynced(signal), this.node.whenAsked()]);
    const heard = Promise.withResolvers<void>();
    const housekeeping = heard.promise.then(() => {
      this.#heard = true;
      return this.#housekeeping.run(signal);
    });
    await Promise.all([this.#sources.runApi(heard.resolve, signal), housekeeping]);
  }

  groupOf(uid: string): string {
    const pod = this.workers.get(uid)?.pod;
    return pod ? this.#groups.parentFor(pod) : '';
  }

  now(): number {
    return this.#deps.clock.now();
  }

  #stop(): void {
    this.workers.stop();
    this.#probes.stop();
    this.#configObjects.close();
    this.#drivers.close();
  }

  async #prepare(signal: AbortSignal): Promise<void> {
    await this.#housekeeping.makeDirectories();
    await this.#plugins.open();
    await this.#csi.open();
    await this.#shutdown.check();
    await enforceAllocatable({ ...this.#deps, ...this.options, groups: this.#groups });
    // A node that is short of something says so from its first word, and takes no pod.
    await this.#eviction.see();
    signal.throwIfAborted();
  }

  /** Containers must be known before the first pod is worked on, or running ones would be started twice. */
  async #firstLook(signal: AbortSignal): Promise<void> {
    const { clock, log } = this.#deps;
    for (let tries = 0; ; tries++) {
      try {
        await Promise.all([this.pleg.relist(signal), this.node.meetRuntime(signal)]);
        return;
      } catch (err) {
        signal.throwIfAborted();
        if (tries === 0) log.warn({ err: errorMessage(err) }, 'Waiting for the container runtime');
        await clock.sleep(RUNTIME_RETRY_MS, signal);
      }
    }
  }

  #usePodCidr(cidr: string): void {
    if (cidr === this.#podCidr) return;
    this.#podCidr = cidr;
    this.#deps.runtime
      .updatePodCidr(cidr)
      .catch((err: unknown) =>
        this.#deps.log.warn({ err: errorMessage(err) }, 'Cannot set pod CIDR'),
      );
  }
}

const RUNTIME_RETRY_MS = 500;
