import type { CycleState } from './cycle-state.ts';
import {
  type BindPlugin,
  type FilterPlugin,
  MAX_NODE_SCORE,
  type NodeRestriction,
  type PermitPlugin,
  type Plugin,
  type PostBindPlugin,
  type PostFilterPlugin,
  type PostFilterResult,
  type PreBindPlugin,
  type PreEnqueuePlugin,
  type PreFilterPlugin,
  type PreScorePlugin,
  type QueueSortPlugin,
  type ReservePlugin,
  type ScorePlugin,
  type Unplaced,
} from './framework.ts';
import type { NodeInfo } from './node-info.ts';
import type { Nominator } from './nominator.ts';
import type { PodInfo } from './pod-info.ts';
import type { Snapshot } from './snapshot.ts';
import { byPlugin, failed, isRejection, type Status, statusMessage } from './status.ts';

/** The plugins of one scheduler name, by extension point, each in the order in which it is asked. */
export interface ExtensionPoints {
  readonly preEnqueue: readonly PreEnqueuePlugin[];
  readonly queueSort: QueueSortPlugin;
  readonly preFilter: readonly PreFilterPlugin[];
  readonly filter: readonly FilterPlugin[];
  readonly postFilter: readonly PostFilterPlugin[];
  readonly preScore: readonly PreScorePlugin[];
  readonly score: readonly { readonly plugin: ScorePlugin; readonly weight: number }[];
  readonly reserve: readonly ReservePlugin[];
  readonly permit: readonly PermitPlugin[];
  readonly preBind: readonly PreBindPlugin[];
  readonly bind: readonly BindPlugin[];
  readonly postBind: readonly PostBindPlugin[];
}

/** What each plugin gave each node: columns beside `nodes`, after normalising and weighting. Good until the next one is made. */
export interface ScoreSheet {
  readonly nodes: readonly NodeInfo[];
  readonly totals: number[];
  readonly columns: { readonly plugin: string; readonly scores: readonly number[] }[];
}

export interface PreFilterOutcome {
  readonly status?: Status;
  /** Only these nodes come into question. */
  readonly nodes?: ReadonlySet<string>;
  /** Who restricted the nodes. */
  readonly restrictedBy: readonly string[];
}

/** One scheduler name's framework: asks the plugins of each extension point in turn. */
export class Profile {
  readonly name: string;
  readonly points: ExtensionPoints;
  /** Every plugin that is on at some point, once. */
  readonly plugins: readonly Plugin[];
  /** 0: adaptive. */
  readonly percentageOfNodesToScore: number | undefined;
  readonly #nominator: Nominator;
  /** Arrays for scores, used again for every Pod: there are thousands of numbers each time. */
  readonly #arrays: number[][] = [];
  /** The filters that the state's PreFilter has left. */
  #filters: readonly FilterPlugin[] = [];
  #filtersOf: CycleState | undefined;

  constructor(
    deps: { nominator: Nominator },
    options: {
      name: string;
      points: ExtensionPoints;
      plugins: readonly Plugin[];
      percentageOfNodesToScore?: number | undefined;
    },
  ) {
    this.name = options.name;
    this.points = options.points;
    this.plugins = options.plugins;
    this.percentageOfNodesToScore = options.percentageOfNodesToScore;
    this.#nominator = deps.nominator;
  }

  /** The first plugin that keeps the Pod out of the active queue. */
  gate(pod: PodInfo): Status | undefined {
    for (const plugin of this.points.preEnqueue) {
      const status = plugin.preEnqueue(pod);
      if (status) return byPlugin(status, plugin.name);
    }
    return undefined;
  }

  preFilter(state: CycleState, pod: PodInfo, snapshot: Snapshot): PreFilterOutcome {
    let nodes: ReadonlySet<string> | undefined;
    const restrictedBy: string[] = [];
    this.#filtersOf = undefined;
    for (const plugin of this.points.preFilter) {
      const answer = plugin.preFilter(state, pod, snapshot);
      if (!answer) continue;
      if (isRestriction(answer)) {
        nodes = nodes?.intersection(answer.nodes) ?? answer.nodes;
        restrictedBy.push(plugin.name);
        if (nodes.size === 0) {
          return { status: noNodeLeft(restrictedBy), restrictedBy };
        }
      } else if (answer.code === 'Skip') {
        state.skipFilter.add(plugin.name);
      } else {
        return { status: byPlugin(answer, plugin.name), restrictedBy };
      }
    }
    return { ...(nodes ? { nodes } : {}), restrictedBy };
  }

  /** The first refusal. */
  filter(state: CycleState, pod: PodInfo, node: NodeInfo): Status | undefined {
    // Asked for every node: who is to be asked is found out once.
    if (this.#filtersOf !== state) {
      this.#filtersOf = state;
      this.#filters = this.points.filter.filter(({ name }) => !state.skipFilter.has(name));
    }
    for (const plugin of this.#filters) {
      const status = plugin.filter(state, pod, node);
      if (status) return byPlugin(status, plugin.name);
    }
    return undefined;
  }

  /**
   * `filter` as if the Pods of equal or higher priority that are nominated to the node were there already; and
   * also as it is now, for they may never come (and affinity to them must not count).
   */
  filterWithNominated(state: CycleState, pod: PodInfo, node: NodeInfo): Status | undefined {
    if (this.#nominator.isEmpty) return this.filter(state, pod, node);
    const nominated = this.#nominator.on(node.name);
    const imagined = nominated.length > 0 ? this.#imagine(state, pod, node, nominated) : undefined;
    return imagined ?? this.filter(state, pod, node);
  }

  /** What the filters say once the Pods that have precedence have come. */
  #imagine(
    state: CycleState,
    pod: PodInfo,
    node: NodeInfo,
    nominated: readonly PodInfo[],
  ): Status | undefined {
    const first = nominated.filter((o) => o.uid !== pod.uid && o.priority >= pod.priority);
    if (first.length === 0) return undefined;
    const imagined = node.copy();
    const imaginedState = state.clone();
    for (const other of first) {
      imagined.addPod(other);
      this.addPod(imaginedState, pod, other, imagined);
    }
    return this.filter(imaginedState, pod, imagined);
  }

  addPod(state: CycleState, pod: PodInfo, other: PodInfo, node: NodeInfo): void {
    for (const plugin of this.points.preFilter) {
      if (!state.skipFilter.has(plugin.name)) plugin.addPod?.(state, pod, other, node);
    }
  }

  removePod(state: CycleState, pod: PodInfo, other: PodInfo, node: NodeInfo): void {
    for (const plugin of this.points.preFilter) {
      if (!state.skipFilter.has(plugin.name)) plugin.removePod?.(state, pod, other, node);
    }
  }

  /** Asks until one finds a way or fails; the reasons of all are kept. */
  async postFilter(unplaced: Unplaced): Promise<PostFilterResult> {
    const reasons: string[] = [];
    let nominatedNode: string | undefined;
    for (const plugin of this.points.postFilter) {
      const result = await plugin.postFilter(unplaced, this);
      if (!result.status) return result;
      if (!isRejection(result.status)) return { status: byPlugin(result.status, plugin.name) };
      nominatedNode ??= result.nominatedNode;
      reasons.push(...result.status.reasons);
    }
    const status: Status = { code: 'Unschedulable', reasons };
    return nominatedNode === undefined ? { status } : { status, nominatedNode };
  }

  preScore(state: CycleState, pod: PodInfo, nodes: readonly NodeInfo[]): Status | undefined {
    for (const plugin of this.points.preScore) {
      const status = plugin.preScore(state, pod, nodes);
      if (status?.code === 'Skip') state.skipScore.add(plugin.name);
      else if (status) return byPlugin(status, plugin.name);
    }
    return undefined;
  }

  /** Throws when a plugin answers out of range: a bug must not pass as a preference. */
  score(state: CycleState, pod: PodInfo, nodes: readonly NodeInfo[]): ScoreSheet {
    const totals = this.#array(0, nodes.length).fill(0);
    const columns: ScoreSheet['columns'] = [];
    for (const { plugin, weight } of this.points.score) {
      if (state.skipScore.has(plugin.name)) continue;
      const scores = this.#array(columns.length + 1, nodes.length);
      for (let i = 0; i < nodes.length; i++) {
        scores[i] = plugin.score(state, pod, nodes[i] as NodeInfo);
      }
      plugin.normalizeScore?.(state, pod, scores, nodes);
      addWeighted(plugin.name, weight, scores, totals);
      columns.push({ plugin: plugin.name, scores });
    }
    return { nodes, totals, columns };
  }

  #array(which: number, length: number): number[] {
    this.#arrays[which] ??= [];
    const array = this.#arrays[which];
    while (array.length < length) array.push(0);
    array.length = length;
    return array;
  }

  /** On a refusal everything reserved so far is undone. */
  reserve(state: CycleState, pod: PodInfo, nodeName: string): Status | undefined {
    for (const plugin of this.points.reserve) {
      const status = plugin.reserve(state, pod, nodeName);
      if (!status) continue;
      this.unreserve(state, pod, nodeName);
      return byPlugin(status, plugin.name);
    }
    return undefined;
  }

  unreserve(state: CycleState, pod: PodInfo, nodeName: string): void {
    for (const plugin of this.points.reserve.toReversed()) {
      plugin.unreserve(state, pod, nodeName);
    }
  }

  /** A refusal, or who wants the Pod held back and for how long at most (milliseconds). */
  permit(
    state: CycleState,
    pod: PodInfo,
    nodeName: string,
  ): { status?: Status; waits: ReadonlyMap<string, number> } {
    const waits = new Map<string, number>();
    for (const plugin of this.points.permit) {
      const { status, timeoutMs = 0 } = plugin.permit(state, pod, nodeName);
      if (status?.code === 'Wait') waits.set(plugin.name, timeoutMs);
      else if (status) return { status: byPlugin(status, plugin.name), waits };
    }
    return { waits };
  }

  async preBind(
    state: CycleState,
    pod: PodInfo,
    nodeName: string,
    signal: AbortSignal,
  ): Promise<Status | undefined> {
    for (const plugin of this.points.preBind) {
      const status = await plugin.preBind(state, pod, nodeName, signal);
      if (status?.code !== 'Skip' && status) return byPlugin(status, plugin.name);
    }
    return undefined;
  }

  async bind(state: CycleState, pod: PodInfo, nodeName: string): Promise<Status | undefined> {
    for (const plugin of this.points.bind) {
      const status = await plugin.bind(state, pod, nodeName);
      if (status?.code === 'Skip') continue;
      return status ? byPlugin(status, plugin.name) : undefined;
    }
    return failed(`no bind plugin handled pod ${pod.key}`);
  }

  postBind(state: CycleState, pod: PodInfo, nodeName: string): void {
    for (const plugin of this.points.postBind) plugin.postBind(state, pod, nodeName);
  }
}

function addWeighted(plugin: string, weight: number, scores: number[], totals: number[]): void {
  for (let i = 0; i < scores.length; i++) {
    const score = scores[i] ?? 0;
    if (!(score >= 0 && score <= MAX_NODE_SCORE)) {
      throw new Error(
        `plugin "${plugin}" returns an invalid score ${score}, it should in the range of [0, ${MAX_NODE_SCORE}] after normalizing`,
      );
    }
    scores[i] = score * weight;
    totals[i] = (totals[i] ?? 0) + score * weight;
  }
}

function isRestriction(answer: Status | NodeRestriction): answer is NodeRestriction {
  return 'nodes' in answer;
}

function noNodeLeft(plugins: readonly string[]): Status {
  const message =
    plugins.length === 1
      ? `node(s) didn't satisfy plugin ${plugins[0]}`
      : `node(s) didn't satisfy plugin(s) [${plugins.join(' ')}] simultaneously`;
  return { code: 'UnschedulableAndUnresolvable', reasons: [message], plugin: plugins.at(-1) ?? '' };
}

/** The text of a Status with the plugin that it came from, for logs. */
export function describeStatus(status: Status): string {
  return status.plugin === undefined
    ? statusMessage(status)
    : `${status.plugin}: ${statusMessage(status)}`;
}
