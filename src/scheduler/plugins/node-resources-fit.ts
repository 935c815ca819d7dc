import type { Node, Pod } from '../../api/types.ts';
import type { FilterPlugin, ScorePlugin } from '../framework.ts';
import { PodInfo } from '../pod-info.ts';
import {
  fitScorer,
  type RequestedToCapacityPoint,
  type WeightedResource,
} from '../resource-scores.ts';
import { amount, toResources } from '../resources.ts';
import { type Ignored, shortages } from '../shortages.ts';

/** NodeResourcesFitArgs, with defaults filled in. */
export interface NodeResourcesFitArgs {
  readonly ignoredResources: readonly string[];
  readonly ignoredResourceGroups: readonly string[];
  readonly scoringStrategy: {
    readonly type: 'LeastAllocated' | 'MostAllocated' | 'RequestedToCapacityRatio';
    readonly resources: readonly WeightedResource[];
    readonly shape?: readonly RequestedToCapacityPoint[];
  };
}

export const DEFAULT_FIT_ARGS: NodeResourcesFitArgs = {
  ignoredResources: [],
  ignoredResourceGroups: [],
  scoringStrategy: {
    type: 'LeastAllocated',
    resources: [
      { name: 'cpu', weight: 1 },
      { name: 'memory', weight: 1 },
    ],
  },
};

/** Rejects nodes without room for what the Pod requests; prefers by how full a node would be. */
export function nodeResourcesFit(
  args: NodeResourcesFitArgs,
  hasClass: (resource: string) => boolean = () => false,
): FilterPlugin & ScorePlugin {
  const ignored: Ignored = (name, has) =>
    // What a node has none of, devices may stand for: DynamicResources looks after it.
    (has === 0 && hasClass(name)) ||
    args.ignoredResources.includes(name) ||
    args.ignoredResourceGroups.includes(name.split('/')[0] ?? '');
  const fitScore = fitScorer(args.scoringStrategy);
  return {
    name: 'NodeResourcesFit',
    wakeOn: [
      {
        on: ['AssignedPod/Delete', 'AssignedPod/UpdateScaleDown'],
        helps: (pod, { before, after }) => freesSomething(pod, before as Pod, after as Pod),
      },
      { on: ['Pod/UpdateScaleDown'] },
      {
        on: ['DeviceClass/Add', 'DeviceClass/Update'],
        helps: ({ requests }) => [...requests.scalar.keys()].some(hasClass),
      },
      {
        on: ['Node/Add', 'Node/UpdateAllocatable'],
        helps: (pod, { before, after }) => mayFit(pod, before as Node, after as Node, ignored),
      },
    ],

    filter: (_state, pod, node) => shortages(pod.requests, node, ignored),

    score: (_state, pod, node) => fitScore(pod, node),
  };
}

/** A Pod that goes or shrinks helps when it gives back some of what the waiting one asks for. */
function freesSomething(pod: PodInfo, before: Pod, after: Pod | undefined): boolean {
  const had = new PodInfo(before).requests;
  const has = after ? new PodInfo(after).requests : undefined;
  if (!has) return true; // a place among the node's Pods is free at least
  const names = ['cpu', 'memory', 'ephemeral-storage', ...pod.requests.scalar.keys()];
  return names.some(
    (name) => amount(pod.requests, name) > 0 && amount(has, name) < amount(had, name),
  );
}

/** A node that could hold the Pod if it were empty, and that has got more of something wanted. */
function mayFit(pod: PodInfo, before: Node | undefined, after: Node, ignored: Ignored): boolean {
  const now = toResources(after.status?.allocatable);
  const { requests } = pod;
  const names = ['cpu', 'memory', 'ephemeral-storage', ...requests.scalar.keys()].filter(
    (name) =>
      amount(requests, name) > 0 &&
      !(requests.scalar.has(name) && ignored(name, amount(now, name))),
  );
  if (now.pods === 0 || names.some((name) => amount(requests, name) > amount(now, name))) {
    return false;
  }
  if (!before) return true;
  const then = toResources(before.status?.allocatable);
  return ['pods', ...names].some((name) => amount(now, name) > amount(then, name));
}
