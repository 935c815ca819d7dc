import { stat } from 'node:fs/promises';
import { qosClassOf } from '../../api/pods.ts';
import type { Pod } from '../../api/types.ts';
import type { EventRecorder, EventSubject } from '../../client/client.ts';
import type { MachineFacts } from '../../host/machine.ts';
import type { Clock } from '../../util/clock.ts';
import { errorMessage } from '../../util/errors.ts';
import { inexact } from '../../util/exact-json.ts';
import { jsonEqual } from '../../util/json.ts';
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
import { evictionNotice } from './messages.ts';
import { type DiskPart, rankForEviction } from './ranking.ts';
import {
  type Left,
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
  /** Nothing of the pod takes up anything any more. */
  isCleared(uid: string): boolean;
  /** What the bound of all pods leaves; undefined where there is none. */
  podsMemory(): Promise<Left | undefined>;
  /** The node's conditions have to be told anew. */
  onPressure(): void;
  /** What is left of what; by default the machine is asked. */
  readSignals?(imageDir: string | undefined): Promise<Signals>;
}

// What is left is a few numbers of the kernel's; what each pod takes up has to be measured.
const PERIOD_MS = 2000;
const LOOKS_PER_MEASURE = 5;
const HARD_GRACE_SECONDS = 1;
// What an evicted pod had is free when it is gone, and not asked of a second one before.
const CLEAR_LOOK_MS = 500;
const CLEAR_LOOKS = 60;
// Where nobody can go, nothing is gained by asking again and again.
const IN_VAIN_MS = 10_000;

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
  /** Images and containers' layers are on another disk than the kubelet's files. */
  #isSplit = false;
  #looks = 0;
  #actsAgain = 0;
  #pressure: Record<Pressure, boolean> = { memory: false, disk: false, pid: false };

  constructor(
    deps: EvictionDeps,
    options: { rootDir: string; nodeName: string; config: KubeletConfiguration },
  ) {
    this.#deps = deps;
    this.#options = options;
    this.#thresholds = thresholdsOf(options.config);
  }

  /** What the node's conditions tell, as of the last look. */
  get pressure(): Readonly<Record<Pressure, boolean>> {
    return this.#pressure;
  }

  /** A pressure stays until it has been gone for the transition period. */
  #pressureNow(): Record<Pressure, boolean> {
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
        const evicted = await this.look(signal);
        await this.#untilCleared(evicted, signal);
        if (evicted.length > 0) continue;
      } catch (err) {
        if (signal.aborted) return;
        log.warn({ err: errorMessage(err) }, 'Cannot look after the resources of the node');
      }
      await clock.sleep(PERIOD_MS, signal).catch(() => {});
    }
  }

  /** One look; evicts at most one pod for the node's sake. Answers who goes. */
  async look(signal: AbortSignal): Promise<readonly string[]> {
    const before = this.#pressure;
    await this.#findDisks(signal);
    const due = await this.see();
    if (!jsonEqual(this.#pressure, before)) this.#deps.onPressure();
    const greedy = this.#looks++ % LOOKS_PER_MEASURE === 0 ? await this.#enforceLimits(signal) : [];
    if (greedy.length > 0 || !due || this.#deps.clock.now() < this.#actsAgain) return greedy;
    return this.#relieve(due, signal);
  }

  async #findDisks(signal: AbortSignal): Promise<void> {
    if (this.#imageDir !== undefined) return;
    const imageDir = await imageDirectory(this.#deps.runtime, signal);
    if (imageDir === undefined) return;
    this.#isSplit = await areApart(this.#options.rootDir, imageDir);
    this.#imageDir = imageDir;
  }

  /** What there is little of, without doing anything about it, nor asking the runtime. */
  async see(): Promise<Due | undefined> {
    const due = this.#due(await this.#read());
    this.#pressure = this.#pressureNow();
    return due;
  }

  async #untilCleared(evicted: readonly string[], signal: AbortSignal): Promise<void> {
    const { clock, isCleared } = this.#deps;
    for (let looks = 0; looks < CLEAR_LOOKS && !evicted.every(isCleared); looks++) {
      await clock.sleep(CLEAR_LOOK_MS, signal);
    }
  }

  async #read(): Promise<Signals> {
    const { readSignals: given } = this.#deps;
    return given
      ? given(this.#imageDir)
      : readSignals(this.#deps, this.#options.rootDir, this.#imageDir);
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

  async #relieve({ threshold, signals }: Due, signal: AbortSignal): Promise<string[]> {
    const { recorder, reclaimDisk, log } = this.#deps;
    const facts = SIGNALS[threshold.signal];
    const left = signals.get(threshold.signal);
    if (!facts || !left) return [];
    const { resource, pressure } = facts;
    const { nodeName: name } = this.#options;
    const node = { apiVersion: 'v1', kind: 'Node', metadata: { name, uid: name } };
    recorder.event(node, 'Warning', 'EvictionThresholdMet', `Attempting to reclaim ${resource}`);
    const part = diskPart(threshold.signal, this.#isSplit);
    if (pressure === 'disk' && part !== 'others') {
      await reclaimDisk(signal);
      const now = await this.#read();
      if (
        thresholdsMet([threshold], now, this.#options.config.evictionMinimumReclaim).length === 0
      ) {
        log.info({ signal: threshold.signal }, 'Freed enough disk without evicting a pod');
        return [];
      }
    }
    const { pods } = await this.#deps.stats.summary({ light: false }, signal);
    const candidates = this.#deps.active().map((pod) => ({
      pod,
      stats: pods.find((p) => p.podRef.uid === pod.metadata.uid),
    }));
    const [victim] = rankForEviction(candidates, { resource, part });
    if (!victim) {
      this.#actsAgain = this.#deps.clock.now() + IN_VAIN_MS;
      return [];
    }
    const { pod, stats } = victim;
    const { message, annotations } = evictionNotice(pod, stats, { resource, threshold, left });
    this.#evict({ ...pod, annotations }, threshold.signal, {
      message,
      gracePeriod: this.#grace(threshold, pod),
      disruption: true,
    });
    return [pod.metadata.uid];
  }

  #grace({ graceMs }: Threshold, pod: Pod): number {
    if (graceMs === 0) return HARD_GRACE_SECONDS;
    const own = inexact(pod.spec?.terminationGracePeriodSeconds ?? 30);
    return Math.min(own, this.#options.config.evictionMaxPodGracePeriod);
  }

  /**
   * Pods that use more disk than they said go at once, however much is left. They have broken their own word: nobody
   * disrupts them.
   */
  async #enforceLimits(signal: AbortSignal): Promise<string[]> {
    const { dirs, runtime, clock } = this.#deps;
    const greedy: string[] = [];
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
      const excess = storageExcess(pod, disk, { layers, isSplit: this.#isSplit });
      if (!excess) continue;
      const { limit, message } = excess;
      this.#evict(pod, limit, { message, gracePeriod: HARD_GRACE_SECONDS, disruption: false });
      greedy.push(pod.metadata.uid);
    }
    return greedy;
  }

  #evict(pod: Pod & EventSubject, cause: string, failure: Omit<Required<Failure>, 'reason'>): void {
    const { recorder, metrics, evict, log } = this.#deps;
    const { message } = failure;
    log.info({ pod: podKey(pod), cause, message }, 'Evicting a pod');
    recorder.event(pod, 'Warning', 'Evicted', message);
    metrics.evictions.inc({ eviction_signal: cause });
    evict(pod.metadata.uid, { reason: 'Evicted', ...failure });
  }
}

interface Due {
  readonly threshold: Threshold;
  readonly signals: Signals;
}

/** What of pods lies on the disk of the signal. Of one that only pods' volumes and logs are on, nothing unused is freed. */
function diskPart(signal: string, isSplit: boolean): DiskPart {
  if (!isSplit) return 'all';
  return signal.startsWith('imagefs.') ? 'layers' : 'others';
}

async function areApart(one: string, other: string): Promise<boolean> {
  const [{ dev: first }, { dev: second }] = await Promise.all([stat(one), stat(other)]);
  return first !== second;
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
