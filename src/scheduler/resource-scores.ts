import { MAX_NODE_SCORE } from './framework.ts';
import type { NodeInfo } from './node-info.ts';
import type { PodInfo } from './pod-info.ts';
import { amount } from './resources.ts';

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

/** What would be requested of the node with the Pod on it, and what it has. */
export function useWith(
  pod: PodInfo,
  node: NodeInfo,
  name: string,
): { requested: number; allocatable: number } | undefined {
  const allocatable = amount(node.allocatable, name);
  if (allocatable === 0) return undefined;
  const standard = name === 'cpu' || name === 'memory';
  const asked = amount(standard ? pod.nonZero : pod.requests, name);
  // An extended resource that the Pod does not ask for says nothing about where it should go.
  if (!standard && name !== 'ephemeral-storage' && asked === 0) return undefined;
  const used = amount(standard ? node.nonZero : node.requested, name);
  return { requested: used + asked, allocatable };
}

/** The weighted mean of the strategy over its resources (NodeResourcesFit). */
export function scoreFit(strategy: ScoringStrategy, pod: PodInfo, node: NodeInfo): number {
  let sum = 0;
  let weights = 0;
  for (const { name, weight } of strategy.resources) {
    const use = useWith(pod, node, name);
    if (!use) continue;
    const score = scoreOne(strategy, use.requested, use.allocatable);
    if (strategy.type === 'RequestedToCapacityRatio' && score <= 0) continue;
    sum += score * weight;
    weights += weight;
  }
  if (weights === 0) return 0;
  const mean = sum / weights;
  return strategy.type === 'RequestedToCapacityRatio' ? Math.round(mean) : Math.floor(mean);
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
