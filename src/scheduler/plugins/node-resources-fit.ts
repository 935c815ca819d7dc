import type { Node, Pod } from '../../api/types.ts';
import type { FilterPlugin, ScorePlugin } from '../framework.ts';
import type { NodeInfo } from '../node-info.ts';
import { PodInfo } from '../pod-info.ts';
import {
  type RequestedToCapacityPoint,
  scoreFit,
  type WeightedResource,
} from '../resource-scores.ts';
import { amount, type Resources, toResources } from '../resources.ts';
import { FITS, type Status } from '../status.ts';

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
export function nodeResourcesFit(args: NodeResourcesFitArgs): FilterPlugin & ScorePlugin {
  const ignored = (name: string) =>
    args.ignoredResources.includes(name) ||
    args.ignoredResourceGroups.includes(name.split('/')[0] ?? '');
  return {
    name: 'NodeResourcesFit',
    wakeOn: [
      {
        on: ['AssignedPod/Delete', 'AssignedPod/UpdateScaleDown'],
        helps: (pod, { before, after }) => freesSomething(pod, before as Pod, after as Pod),
      },
      { on: ['Pod/UpdateScaleDown'] },
      {
        on: ['Node/Add', 'Node/UpdateAllocatable'],
        helps: (pod, { before, after }) => mayFit(pod, before as Node, after as Node, ignored),
      },
    ],

    filter(_state, pod, node) {
      const short = shortages(pod.requests, node, ignored);
      if (short.length === 0) return FITS;
      return refusal(short);
    },

    score: (_state, pod, node) => scoreFit(args.scoringStrategy, pod, node),
  };
}

interface Shortage {
  readonly reason: string;
  /** The node could not hold the Pod even if it were empty. */
  readonly hopeless: boolean;
}

const NO_SHORTAGE: readonly Shortage[] = [];

/** Everything that the node has too little of. */
function shortages(
  wanted: Resources,
  node: NodeInfo,
  ignored: (name: string) => boolean,
): readonly Shortage[] {
  const { allocatable, requested } = node;
  let out: Shortage[] | undefined;
  const note = (reason: string, hopeless: boolean) => {
    out ??= [];
    out.push({ reason, hopeless });
  };
  if (node.pods.size + 1 > allocatable.pods) note('Too many pods', allocatable.pods === 0);
  const check = (name: string, want: number, all: number, used: number) => {
    if (want > 0 && want > all - used) note(`Insufficient ${name}`, want > all);
  };
  check('cpu', wanted.milliCpu, allocatable.milliCpu, requested.milliCpu);
  check('memory', wanted.memory, allocatable.memory, requested.memory);
  check(
    'ephemeral-storage',
    wanted.ephemeralStorage,
    allocatable.ephemeralStorage,
    requested.ephemeralStorage,
  );
  for (const [name, want] of wanted.scalar) {
    if (ignored(name)) continue;
    check(name, want, allocatable.scalar.get(name) ?? 0, requested.scalar.get(name) ?? 0);
  }
  return out ?? NO_SHORTAGE;
}

function refusal(short: readonly Shortage[]): Status {
  const hopeless = short.some((one) => one.hopeless);
  return {
    code: hopeless ? 'UnschedulableAndUnresolvable' : 'Unschedulable',
    reasons: short.map((one) => one.reason),
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
function mayFit(
  pod: PodInfo,
  before: Node | undefined,
  after: Node,
  ignored: (name: string) => boolean,
): boolean {
  const now = toResources(after.status?.allocatable);
  const { requests } = pod;
  const names = ['cpu', 'memory', 'ephemeral-storage', ...requests.scalar.keys()].filter(
    (name) => amount(requests, name) > 0 && !(requests.scalar.has(name) && ignored(name)),
  );
  if (now.pods === 0 || names.some((name) => amount(requests, name) > amount(now, name))) {
    return false;
  }
  if (!before) return true;
  const then = toResources(before.status?.allocatable);
  return ['pods', ...names].some((name) => amount(now, name) > amount(then, name));
}
