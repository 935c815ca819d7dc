import { MAX_NODE_SCORE } from './framework.ts';
import type { NodeInfo } from './node-info.ts';
import type { PodInfo } from './pod-info.ts';
import { amountReader, type Resources } from './resources.ts';

export interface WeightedResource {
  readonly name: string;
  readonly weight: number;
}

/** At this use (percent) this score (0 to 10). */
export interface RequestedToCapacityPoint {
  readonly utilization: number;
  readonly score: number;
}

export interface ScoringStrategy {
  readonly type: 'LeastAllocated' | 'MostAllocated' | 'RequestedToCapacityRatio';
  readonly resources: readonly WeightedResource[];
  readonly shape?: readonly RequestedToCapacityPoint[];
}

/** Points of the shape go to 10, node scores to 100. */
const SHAPE_SCALE = MAX_NODE_SCORE / 10;

/** How one resource is read; worked out once, not for every node. */
interface Gauge {
  readonly weight: number;
  readonly read: (resources: Resources) => number;
  /** CPU and memory: Pods that name none count with a small default. */
  readonly counted: boolean;
  /** A Pod that asks for none of an extended resource says nothing about it. */
  readonly optional: boolean;
}

function gaugeOf({ name, weight }: WeightedResource): Gauge {
  const counted = name === 'cpu' || name === 'memory';
  return {
    weight,
    counted,
    optional: !counted && name !== 'ephemeral-storage',
    read: amountReader(name),
  };
}

/** The weighted mean of the strategy over its resources (NodeResourcesFit). */
export function fitScorer(strategy: ScoringStrategy): (pod: PodInfo, node: NodeInfo) => number {
  const gauges = strategy.resources.map(gaugeOf);
  const ratio = strategy.type === 'RequestedToCapacityRatio';
  return (pod, node) => {
    let sum = 0;
    let weights = 0;
    for (const gauge of gauges) {
      const score = gaugeScore(strategy, gauge, pod, node);
      if (score === undefined) continue;
      sum += score * gauge.weight;
      weights += gauge.weight;
    }
    if (weights === 0) return 0;
    return ratio ? Math.round(sum / weights) : Math.floor(sum / weights);
  };
}

/** Undefined: the resource does not count here. */
function gaugeScore(
  strategy: ScoringStrategy,
  { read, counted, optional }: Gauge,
  pod: PodInfo,
  node: NodeInfo,
): number | undefined {
  const allocatable = read(node.allocatable);
  const asked = read(counted ? pod.nonZero : pod.requests);
  if (allocatable === 0 || (optional && asked === 0)) return undefined;
  const requested = read(counted ? node.nonZero : node.requested) + asked;
  const score = scoreOne(strategy, requested, allocatable);
  return strategy.type === 'RequestedToCapacityRatio' && score <= 0 ? undefined : score;
}

function scoreOne(strategy: ScoringStrategy, requested: number, allocatable: number): number {
  switch (strategy.type) {
    case 'LeastAllocated':
      if (requested > allocatable) return 0;
      return Math.floor(((allocatable - requested) * MAX_NODE_SCORE) / allocatable);
    case 'MostAllocated':
      return Math.floor((Math.min(requested, allocatable) * MAX_NODE_SCORE) / allocatable);
    case 'RequestedToCapacityRatio': {
      const percent = requested > allocatable ? 100 : Math.floor((requested * 100) / allocatable);
      return Math.trunc(alongShape(strategy.shape ?? [], percent));
    }
  }
}

/** Straight lines between the points of the shape, level beyond its ends. */
function alongShape(shape: readonly RequestedToCapacityPoint[], percent: number): number {
  const [first] = shape;
  if (!first) return 0;
  let before = first;
  for (const point of shape) {
    if (percent <= point.utilization) {
      if (point === before) return point.score * SHAPE_SCALE;
      const rise = (point.score - before.score) * SHAPE_SCALE;
      const part = (percent - before.utilization) / (point.utilization - before.utilization);
      return before.score * SHAPE_SCALE + Math.trunc(rise * part);
    }
    before = point;
  }
  return before.score * SHAPE_SCALE;
}
