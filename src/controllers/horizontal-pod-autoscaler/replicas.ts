import { isPodReady, podCondition } from '../../api/pods.ts';
import type { Pod } from '../../api/types.ts';
import type { PodMetrics } from './metrics-client.ts';

/** How far the use may be from the target without anything being done. */
export interface Tolerance {
  readonly up: number;
  readonly down: number;
}

export interface CalculatorOptions {
  /** Metrics of Pods younger than this may not tell much yet. */
  readonly cpuInitializationMs: number;
  /** Not ready within this time from its start: the Pod is still starting. */
  readonly initialReadinessMs: number;
}

export interface Proposal {
  readonly replicas: number;
  /** Thousandths: the average over the Pods, or the value. */
  readonly milli: number;
  /** Percent of what the Pods ask for. */
  readonly utilization?: number;
}

interface Groups {
  readonly ready: number;
  readonly unready: readonly Pod[];
  readonly missing: readonly Pod[];
  /** Metrics of the ready Pods. */
  readonly metrics: Map<string, number>;
}

export function within(ratio: number, { up, down }: Tolerance): boolean {
  return 1 - down <= ratio && ratio <= 1 + up;
}

/**
 * Replicas for a share of what the Pods ask for (`requests` by Pod name, thousandths), or for an average per Pod
 * (without `requests`). Pods without metrics count against a change: as idle when growing, as busy when shrinking. Pure.
 */
export function replicasForPods(
  current: number,
  target: { value: number; requests?: ReadonlyMap<string, number> | undefined },
  world: {
    pods: readonly Pod[];
    metrics: PodMetrics;
    /** CPU is high while a Pod starts. */
    isCpu: boolean;
    now: number;
    tolerance: Tolerance;
    options: CalculatorOptions;
  },
): Proposal {
  const groups = groupPods(world);
  const { metrics, missing, unready, ready } = groups;
  if (metrics.size === 0) {
    throw new Error('did not receive metrics for targeted pods (pods might be unready)');
  }
  const first = usage(metrics, target);
  const told = { milli: first.average, ...shown(first.utilization) };
  const countUnready = unready.length > 0 && first.ratio > 1;
  if (!countUnready && missing.length === 0) {
    const still = within(first.ratio, world.tolerance);
    return { ...told, replicas: still ? current : Math.ceil(round(first.ratio * ready)) };
  }
  assume(groups, first.ratio, target);
  const { ratio } = usage(metrics, target);
  const replicas = Math.ceil(round(ratio * metrics.size));
  const still = within(ratio, world.tolerance) || turned(first.ratio, ratio);
  return { ...told, replicas: still || wrongWay(ratio, current, replicas) ? current : replicas };
}

/** What cannot be seen is assumed to speak against the change. */
function assume(
  { metrics, missing, unready }: Groups,
  ratio: number,
  target: { value: number; requests?: ReadonlyMap<string, number> | undefined },
): void {
  for (const { metadata } of missing) {
    if (ratio < 1) metrics.set(metadata.name, busy(metadata.name, target));
    else if (ratio > 1) metrics.set(metadata.name, 0);
  }
  if (ratio <= 1) return;
  for (const { metadata } of unready) metrics.set(metadata.name, 0);
}

function turned(before: number, after: number): boolean {
  return (before < 1 && after > 1) || (before > 1 && after < 1);
}

function wrongWay(ratio: number, current: number, replicas: number): boolean {
  return (ratio < 1 && replicas > current) || (ratio > 1 && replicas < current);
}

/** Replicas for one value of something else than Pods, compared with what it should be. Pure. */
export function replicasForRatio(
  current: number,
  ratio: number,
  world: { readyPods: number; tolerance: Tolerance },
): number {
  if (current === 0) return Math.ceil(round(ratio));
  if (within(ratio, world.tolerance)) return current;
  return Math.ceil(round(ratio * world.readyPods));
}

/** Replicas for a value that is to be shared among the Pods, so much for each. Pure. */
export function replicasForShare(
  current: number,
  { milli, targetMilli, pods }: { milli: number; targetMilli: number; pods: number },
  tolerance: Tolerance,
): Proposal {
  const ratio = milli / (targetMilli * pods);
  const changes = pods === 0 || !within(ratio, tolerance);
  return {
    replicas: changes ? Math.ceil(round(milli / targetMilli)) : current,
    milli: pods === 0 ? 0 : Math.ceil(milli / pods),
  };
}

/** Keeps 3 × (1/3) from becoming 4: a float is a hair above the whole number that is meant. */
function round(value: number): number {
  return Number(value.toPrecision(12));
}

function usage(
  metrics: ReadonlyMap<string, number>,
  { value, requests }: { value: number; requests?: ReadonlyMap<string, number> | undefined },
): { ratio: number; average: number; utilization?: number } {
  if (!requests) {
    const average = Math.trunc(sum(metrics.values()) / metrics.size);
    return { ratio: average / value, average };
  }
  const known = [...metrics].filter(([name]) => requests.has(name));
  const asked = sum(known.map(([name]) => requests.get(name) ?? 0));
  if (asked === 0) throw new Error('no metrics returned matched known pods');
  const used = sum(known.map(([, milli]) => milli));
  const utilization = Math.trunc((used * 100) / asked);
  return { ratio: utilization / value, average: Math.trunc(used / known.length), utilization };
}

function busy(
  name: string,
  { value, requests }: { value: number; requests?: ReadonlyMap<string, number> | undefined },
): number {
  if (!requests) return value;
  return ((requests.get(name) ?? 0) * Math.max(100, value)) / 100;
}

function groupPods(world: Parameters<typeof replicasForPods>[2]): Groups {
  const unready: Pod[] = [];
  const missing: Pod[] = [];
  const metrics = new Map<string, number>();
  for (const pod of world.pods) {
    if (pod.metadata.deletionTimestamp || pod.status?.phase === 'Failed') continue;
    const metric = world.metrics.get(pod.metadata.name);
    if (pod.status?.phase === 'Pending') unready.push(pod);
    else if (!metric) missing.push(pod);
    else if (world.isCpu && isStarting(pod, metric, world)) unready.push(pod);
    else metrics.set(pod.metadata.name, metric.milli);
  }
  return { ready: metrics.size, unready, missing, metrics };
}

function isStarting(
  pod: Pod,
  metric: { at: number; windowMs: number },
  { now, options }: { now: number; options: CalculatorOptions },
): boolean {
  const ready = podCondition(pod, 'Ready');
  const started = Date.parse(pod.status?.startTime ?? '');
  if (!ready || Number.isNaN(started)) return true;
  const since = Date.parse(ready.lastTransitionTime ?? '');
  if (started + options.cpuInitializationMs > now) {
    return !isPodReady(pod) || metric.at < since + metric.windowMs;
  }
  return !isPodReady(pod) && started + options.initialReadinessMs > since;
}

function sum(values: Iterable<number>): number {
  let total = 0;
  for (const value of values) total += value;
  return total;
}

function shown(utilization: number | undefined): { utilization?: number } {
  return utilization === undefined ? {} : { utilization };
}
