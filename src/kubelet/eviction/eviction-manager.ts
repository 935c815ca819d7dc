import { qosClassOf } from '../../api/pods.ts';
import type { Pod } from '../../api/types.ts';
import type { EventRecorder } from '../../client/client.ts';
import type { MachineFacts } from '../../host/machine.ts';
import type { Clock } from '../../util/clock.ts';
import { errorMessage } from '../../util/errors.ts';
import { inexact } from '../../util/exact-json.ts';
import type { Logger } from '../../util/log.ts';
import { type KubeletConfiguration, parseDuration } from '../config.ts';
import { isCriticalPod } from '../critical-pods.ts';
import type { KubeletMetrics } from '../metrics.ts';
import { CONTAINER_NAME_LABEL, POD_UID_LABEL, podKey } from '../names.ts';
import type { PodDirs } from '../pod-dirs.ts';
import type { Failure } from '../pod-state.ts';
import type { ContainerRuntime } from '../runtime/runtime.ts';
import { podDisk } from '../stats/pod-disk.ts';
import type { StatsProvider } from '../stats/stats-provider.ts';
import { evictionMessage } from './messages.ts';
import { rankForEviction } from './ranking.ts';
import {
  type Pressure,
  readSignals,
  SIGNAL_ORDER,
  SIGNALS,
  type Signals,
  type Threshold,
  thresholdsMet,
  thresholdsOf,
} from './signals.ts';
import { hasStorageLimits, storageExcess } from './storage-limits.ts';

export interface EvictionDeps {
  runtime: ContainerRuntime;
  recorder: EventRecorder;
  clock: Clock;
  log: Logger;
  machine: MachineFacts;
  metrics: KubeletMetrics;
  stats: StatsProvider;
  dirs: PodDirs;
  /** Pods that run here and have not been asked to end. */
  active(): readonly Pod[];
  evict(uid: string, failure: Failure): void;
  /** Frees disk without ending anybody: images and containers that nobody uses. */
  reclaimDisk(signal: AbortSignal): Promise<void>;
  /** The node's conditions have to be told anew. */
  onPressure(): void;
  /** What is left of what; by default the machine is asked. */
  readSignals?(imageDir: string | undefined): Promise<Signals>;
}

const PERIOD_MS = 10_000;
const HARD_GRACE_SECONDS = 1;

/** Watches what the node is short of, and ends pods before the kernel ends something of its own choice. */
export class EvictionManager {
  readonly #deps: EvictionDeps;
  readonly #options: { rootDir: string; nodeName: string; config: KubeletConfiguration };
  readonly #thresholds: readonly Threshold[];
  /** When each threshold that is crossed was first seen so. */
  readonly #since = new Map<Threshold, number>();
  /** When each pressure was seen last. */
  readonly #pressed = new Map<Pressure, number>();
  #imageDir: string | undefined;

  constructor(
    deps: EvictionDeps,
    options: { rootDir: string; nodeName: string; config: KubeletConfiguration },
  ) {
    this.#deps = deps;
    this.#options = options;
    this.#thresholds = thresholdsOf(options.config);
  }

  /** What the node's conditions tell: a pressure stays until it has been gone for the transition period. */
  get pressure(): Record<Pressure, boolean> {
    const { clock } = this.#deps;
    const period = parseDuration(this.#options.config.evictionPressureTransitionPeriod);
    const has = (kind: Pressure): boolean => {
      const last = this.#pressed.get(kind);
      return last !== undefined && clock.now() - last < period;
    };
    return { memory: has('memory'), disk: has('disk'), pid: has('pid') };
  }

  /** Why the pod may not start under the pressure that there is; undefined when it may. */
  refusal(pod: Pod): Failure | undefined {
    const { pressure } = this;
    const names = Object.entries({
      MemoryPressure: pressure.memory,
      DiskPressure: pressure.disk,
      PIDPressure: pressure.pid,
    }).flatMap(([name, is]) => (is ? [name] : []));
    if (names.length === 0 || isCriticalPod(pod)) return undefined;
    // Under memory pressure alone only those are kept out who promise nothing.
    const onlyMemory = names.length === 1 && pressure.memory;
    const qos = pod.spec ? qosClassOf(pod.spec) : 'BestEffort';
    if (onlyMemory && (qos !== 'BestEffort' || toleratesMemoryPressure(pod))) return undefined;
    return { reason: 'Evicted', message: `The node had condition: [${names.join(' ')}]. ` };
  }

  /** Works until aborted. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, log } = this.#deps;
    while (!signal.aborted) {
      try {
        await this.look(signal);
      } catch (err) {
        if (signal.aborted) return;
        log.warn({ err: errorMessage(err) }, 'Cannot look after the resources of the node');
      }
      await clock.sleep(PERIOD_MS, signal).catch(() => {});
    }
  }

  /** One look; evicts at most one pod for the node's sake. */
  async look(signal: AbortSignal): Promise<void> {
    const before = JSON.stringify(this.pressure);
    await this.#enforceLimits(signal);
    const due = this.#due(await this.#read(signal));
    if (JSON.stringify(this.pressure) !== before) this.#deps.onPressure();
    if (due) await this.#relieve(due, signal);
  }

  async #read(signal: AbortSignal): Promise<Signals> {
    const { machine, runtime } = this.#deps;
    this.#imageDir ??= await imageDirectory(runtime, signal);
    const { readSignals: given } = this.#deps;
    return given
      ? given(this.#imageDir)
      : readSignals(machine, this.#options.rootDir, this.#imageDir);
  }

  /** The threshold to act on now: the most urgent signal that is crossed, long enough if it is a soft one. */
  #due(signals: Signals): Due | undefined {
    const { clock } = this.#deps;
    const { evictionMinimumReclaim } = this.#options.config;
    const now = clock.now();
    const crossed = new Set(thresholdsMet(this.#thresholds, signals));
    const known = this.#thresholds.filter((t) => this.#since.has(t));
    for (const t of thresholdsMet(known, signals, evictionMinimumReclaim)) crossed.add(t);
    for (const t of this.#thresholds) {
      if (!crossed.has(t)) this.#since.delete(t);
      else if (!this.#since.has(t)) this.#since.set(t, now);
      const kind = SIGNALS[t.signal]?.pressure;
      if (crossed.has(t) && kind) this.#pressed.set(kind, now);
    }
    const ripe = [...crossed].filter((t) => now - (this.#since.get(t) ?? now) >= t.graceMs);
    ripe.sort((a, b) => SIGNAL_ORDER.indexOf(a.signal) - SIGNAL_ORDER.indexOf(b.signal));
    const [threshold] = ripe;
    return threshold && { threshold, signals };
  }

  async #relieve({ threshold, signals }: Due, signal: AbortSignal): Promise<void> {
    const { recorder, reclaimDisk, log } = this.#deps;
    const facts = SIGNALS[threshold.signal];
    const left = signals.get(threshold.signal);
    if (!facts || !left) return;
    const { resource, pressure } = facts;
    const { nodeName: name } = this.#options;
    const node = { apiVersion: 'v1', kind: 'Node', metadata: { name, uid: name } };
    recorder.event(node, 'Warning', 'EvictionThresholdMet', `Attempting to reclaim ${resource}`);
    if (pressure === 'disk') {
      await reclaimDisk(signal);
      const now = await this.#read(signal);
      if (
        thresholdsMet([threshold], now, this.#options.config.evictionMinimumReclaim).length === 0
      ) {
        log.info({ signal: threshold.signal }, 'Freed enough disk without evicting a pod');
        return;
      }
    }
    const { pods } = await this.#deps.stats.summary({ light: false }, signal);
    const candidates = this.#deps.active().map((pod) => ({
      pod,
      stats: pods.find((p) => p.podRef.uid === pod.metadata.uid),
    }));
    const [victim] = rankForEviction(candidates, resource);
    if (!victim) return;
    const message = evictionMessage(victim.pod, victim.stats, { resource, threshold, left });
    this.#evict(victim.pod, threshold.signal, {
      message,
      gracePeriod: this.#grace(threshold, victim.pod),
    });
  }

  #grace({ graceMs }: Threshold, pod: Pod): number {
    if (graceMs === 0) return HARD_GRACE_SECONDS;
    const own = inexact(pod.spec?.terminationGracePeriodSeconds ?? 30);
    return Math.min(own, this.#options.config.evictionMaxPodGracePeriod);
  }

  /** Pods that use more disk than they said go at once, however much is left. */
  async #enforceLimits(signal: AbortSignal): Promise<void> {
    const { dirs, runtime, clock } = this.#deps;
    for (const pod of this.#deps.active().filter(hasStorageLimits)) {
      const filter = { [POD_UID_LABEL]: pod.metadata.uid };
      const stats = await runtime.listContainerStats(filter, signal);
      const layers = new Map(
        stats.map(({ attributes, writableLayer }) => [
          attributes.labels[CONTAINER_NAME_LABEL] ?? '',
          writableLayer?.usedBytes?.value ?? 0,
        ]),
      );
      const disk = await podDisk(pod, dirs, new Date(clock.now()).toISOString());
      const message = storageExcess(pod, disk, layers);
      if (message) {
        this.#evict(pod, 'ephemeralpodfs.limit', { message, gracePeriod: HARD_GRACE_SECONDS });
      }
    }
  }

  #evict(pod: Pod, cause: string, failure: { message: string; gracePeriod: number }): void {
    const { recorder, metrics, evict, log } = this.#deps;
    const { message, gracePeriod } = failure;
    log.info({ pod: podKey(pod), cause, message }, 'Evicting a pod');
    recorder.event(pod, 'Warning', 'Evicted', message);
    metrics.evictions.inc({ eviction_signal: cause });
    evict(pod.metadata.uid, { reason: 'Evicted', message, gracePeriod, disruption: true });
  }
}

interface Due {
  readonly threshold: Threshold;
  readonly signals: Signals;
}

async function imageDirectory(
  runtime: ContainerRuntime,
  signal: AbortSignal,
): Promise<string | undefined> {
  const [usage] = await runtime.imageFsInfo(signal).catch(() => []);
  return usage?.fsId?.mountpoint;
}

function toleratesMemoryPressure(pod: Pod): boolean {
  return (pod.spec?.tolerations ?? []).some(
    ({ key, operator, effect }) =>
      (key === 'node.kubernetes.io/memory-pressure' || (!key && operator === 'Exists')) &&
      (!effect || effect === 'NoSchedule'),
  );
}
