import type { Wake } from './cluster-events.ts';
import type { CycleState } from './cycle-state.ts';
import type { NodeInfo } from './node-info.ts';
import type { PodInfo } from './pod-info.ts';
import type { QueuedPod } from './queued-pod.ts';
import type { Snapshot } from './snapshot.ts';
import type { Status } from './status.ts';

/** Scores range from 0 to this, after normalising. */
export const MAX_NODE_SCORE = 100;

interface Named {
  readonly name: string;
  /** When to try a Pod again that this plugin has rejected. Absent: after any event. */
  readonly wakeOn?: readonly Wake[];
}

/** Keeps a Pod out of the active queue as long as it answers a Status. */
export interface PreEnqueuePlugin extends Named {
  preEnqueue(pod: PodInfo): Status | undefined;
}

/** Orders the active queue; exactly one per profile, the same one in all profiles. */
export interface QueueSortPlugin extends Named {
  less(a: QueuedPod, b: QueuedPod): boolean;
}

/** PreFilter may say: only these nodes come into question. */
export interface NodeRestriction {
  readonly nodes: ReadonlySet<string>;
}

/**
 * Looks at the Pod and the cluster once per cycle, before the nodes are tried one by one.
 * `SKIP` means that the Pod is none of this plugin's business, so its filter need not be asked.
 */
export interface PreFilterPlugin extends Named {
  preFilter(
    state: CycleState,
    pod: PodInfo,
    snapshot: Snapshot,
  ): Status | NodeRestriction | undefined;
  /** Preemption and nominated Pods ask what would be: change `state` as if `other` were (not) on `node`. */
  addPod?(state: CycleState, pod: PodInfo, other: PodInfo, node: NodeInfo): void;
  removePod?(state: CycleState, pod: PodInfo, other: PodInfo, node: NodeInfo): void;
}

/** Whether the Pod can run on the node. Called for each node until enough are found: must be fast. */
export interface FilterPlugin extends Named {
  filter(state: CycleState, pod: PodInfo, node: NodeInfo): Status | undefined;
}

/** What became of a search for a way out. */
export interface PostFilterResult {
  /** The node where there will be room. */
  readonly nominatedNode?: string;
  readonly status: Status | undefined;
}

/** Asks the filters of a profile what would be if other Pods came or went. */
export interface WhatIf {
  filterWithNominated(state: CycleState, pod: PodInfo, node: NodeInfo): Status | undefined;
  addPod(state: CycleState, pod: PodInfo, other: PodInfo, node: NodeInfo): void;
  removePod(state: CycleState, pod: PodInfo, other: PodInfo, node: NodeInfo): void;
}

/** A Pod that fits nowhere. Nodes without a rejection did not come into question. */
export interface Unplaced {
  readonly state: CycleState;
  readonly pod: PodInfo;
  readonly snapshot: Snapshot;
  readonly rejections: ReadonlyMap<string, Status>;
}

/** Called when no node fits, to make one fit later (preemption). */
export interface PostFilterPlugin extends Named {
  postFilter(unplaced: Unplaced, framework: WhatIf): PostFilterResult | Promise<PostFilterResult>;
}

/** Prepares scoring for the nodes that fit. `SKIP`: all nodes are equal to this plugin. */
export interface PreScorePlugin extends Named {
  preScore(state: CycleState, pod: PodInfo, nodes: readonly NodeInfo[]): Status | undefined;
}

/** How good a node is. Without `normalizeScore` the answers must be 0 to MAX_NODE_SCORE. */
export interface ScorePlugin extends Named {
  score(state: CycleState, pod: PodInfo, node: NodeInfo): number;
  /** Maps raw scores to 0 … MAX_NODE_SCORE in place. */
  normalizeScore?(
    state: CycleState,
    pod: PodInfo,
    scores: number[],
    nodes: readonly NodeInfo[],
  ): void;
}

/** Books what the Pod will use on the chosen node; `unreserve` undoes it, also after a failed reserve. */
export interface ReservePlugin extends Named {
  reserve(state: CycleState, pod: PodInfo, nodeName: string): Status | undefined;
  unreserve(state: CycleState, pod: PodInfo, nodeName: string): void;
}

/** May hold the Pod before it is bound: code Wait with the longest time in milliseconds. */
export interface PermitPlugin extends Named {
  permit(
    state: CycleState,
    pod: PodInfo,
    nodeName: string,
  ): { status: Status | undefined; timeoutMs?: number };
}

/** Work that must be done before the Pod is bound, such as binding its volumes. */
export interface PreBindPlugin extends Named {
  preBind(
    state: CycleState,
    pod: PodInfo,
    nodeName: string,
    signal: AbortSignal,
  ): Promise<Status | undefined>;
}

/** Tells the API server. The first that does not answer `SKIP` ends the round. */
export interface BindPlugin extends Named {
  bind(state: CycleState, pod: PodInfo, nodeName: string): Promise<Status | undefined>;
}

/** Told when a Pod is bound. */
export interface PostBindPlugin extends Named {
  postBind(state: CycleState, pod: PodInfo, nodeName: string): void;
}

type Points = PreEnqueuePlugin &
  QueueSortPlugin &
  PreFilterPlugin &
  FilterPlugin &
  PostFilterPlugin &
  PreScorePlugin &
  ScorePlugin &
  ReservePlugin &
  PermitPlugin &
  PreBindPlugin &
  BindPlugin &
  PostBindPlugin;

/** A plugin implements any of the extension points, all under one name. */
export type Plugin = Named & Partial<Omit<Points, keyof Named>>;
