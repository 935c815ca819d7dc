import { errorMessage } from '../util/errors.ts';
import type { CycleState } from './cycle-state.ts';
import type { Extender } from './extender.ts';
import { blame, type Diagnosis, diagnose } from './fit-error.ts';
import type { NodeInfo } from './node-info.ts';
import type { PodInfo } from './pod-info.ts';
import type { Profile, ScoreSheet } from './profile.ts';
import type { Snapshot } from './snapshot.ts';
import { failed, isRejection, type Status, unresolvable } from './status.ts';

/** What a scheduling cycle found. */
export type Placement =
  | {
      readonly kind: 'placed';
      readonly nodeName: string;
      readonly evaluated: number;
      readonly rejections: ReadonlyMap<string, Status>;
      /** Absent when only one node fits. */
      readonly scores: ScoreSheet | undefined;
    }
  | { readonly kind: 'unschedulable'; readonly diagnosis: Diagnosis }
  | { readonly kind: 'no-nodes' }
  | { readonly kind: 'failed'; readonly status: Status };

export interface CycleDeps {
  readonly extenders: readonly Extender[];
  /** 0 to 1; breaks ties between the best nodes. */
  readonly random: () => number;
}

export interface CycleOptions {
  /** 0: adaptive; profiles may override it. */
  readonly percentageOfNodesToScore: number;
}

const MIN_FEASIBLE = 100;
const MIN_PERCENTAGE = 5;

/** Enough feasible nodes to choose well among, so that the cost of a cycle grows slower than the cluster (upstream numFeasibleNodesToFind). */
export function feasibleNodesToFind(nodeCount: number, percentage: number): number {
  if (nodeCount < MIN_FEASIBLE) return nodeCount;
  let wanted = percentage;
  if (wanted === 0) wanted = Math.max(MIN_PERCENTAGE, 50 - Math.floor(nodeCount / 125));
  if (wanted >= 100) return nodeCount;
  return Math.max(MIN_FEASIBLE, Math.floor((nodeCount * wanted) / 100));
}

/** Finds the best node for one Pod at a time. Remembers where the last search stopped, so that all nodes get their turn. */
export class SchedulingCycle {
  readonly #deps: CycleDeps;
  readonly #options: CycleOptions;
  #startAt = 0;

  constructor(deps: CycleDeps, options: CycleOptions) {
    this.#deps = deps;
    this.#options = options;
  }

  async place(
    profile: Profile,
    state: CycleState,
    pod: PodInfo,
    snapshot: Snapshot,
  ): Promise<Placement> {
    if (snapshot.nodes.length === 0) return { kind: 'no-nodes' };
    const before = profile.preFilter(state, pod, snapshot);
    if (before.status) return refusedBefore(before.status, snapshot);
    const task: Task = { profile, state, pod };
    try {
      const search =
        (await this.#tryNominated(task, snapshot, before.nodes)) ??
        (await this.#search(task, restrict(snapshot, before.nodes)));
      if (search.feasible.length > 0) return await this.#choose(task, search);
      return { kind: 'unschedulable', diagnosis: diagnosis(snapshot, search, before) };
    } catch (err) {
      if (err instanceof StatusError) return { kind: 'failed', status: err.status };
      throw err;
    }
  }

  /** A Pod for whom room was made on a node goes there if it fits now, without a look at the others. */
  async #tryNominated(
    task: Task,
    snapshot: Snapshot,
    allowed: ReadonlySet<string> | undefined,
  ): Promise<Search | undefined> {
    const name = task.pod.pod.status?.nominatedNodeName;
    const node = name ? snapshot.get(name) : undefined;
    if (!node || (allowed && !allowed.has(node.name))) return undefined;
    const search = await this.#search(task, [node]);
    return search.feasible.length > 0 ? search : undefined;
  }

  async #search(task: Task, candidates: readonly NodeInfo[]): Promise<Search> {
    const search = this.#filter(task, candidates);
    for (const extender of this.#deps.extenders) {
      if (search.feasible.length === 0) break;
      if (extender.filters && extender.isInterested(task.pod))
        await consult(extender, task, search);
    }
    return search;
  }

  #filter({ profile, state, pod }: Task, candidates: readonly NodeInfo[]): Search {
    const percentage = profile.percentageOfNodesToScore ?? this.#options.percentageOfNodesToScore;
    const enough = feasibleNodesToFind(candidates.length, percentage);
    const feasible: NodeInfo[] = [];
    const rejections = new Map<string, Status>();
    const start = candidates.length === 0 ? 0 : this.#startAt % candidates.length;
    let seen = 0;
    for (; seen < candidates.length && feasible.length < enough; seen++) {
      const node = candidates[(start + seen) % candidates.length] as NodeInfo;
      const status = profile.filterWithNominated(state, pod, node);
      if (!status) feasible.push(node);
      else if (isRejection(status)) rejections.set(node.name, status);
      else throw new StatusError(status);
    }
    // A single candidate says nothing about where the next Pod should begin to look.
    if (candidates.length > 1) this.#startAt = (start + seen) % candidates.length;
    return { feasible, rejections };
  }

  async #choose(task: Task, { feasible, rejections }: Search): Promise<Placement> {
    const evaluated = feasible.length + rejections.size;
    const [only] = feasible;
    if (feasible.length === 1 && only) {
      return { kind: 'placed', nodeName: only.name, evaluated, rejections, scores: undefined };
    }
    const { profile, state, pod } = task;
    const status = profile.preScore(state, pod, feasible);
    if (status) return { kind: 'failed', status };
    const scores = await this.#extenderScores(task, profile.score(state, pod, feasible));
    return { kind: 'placed', nodeName: this.#best(scores), evaluated, rejections, scores };
  }

  /** Adds what the extenders prefer. */
  async #extenderScores(task: Task, sheet: ScoreSheet): Promise<ScoreSheet> {
    for (const extender of this.#deps.extenders) {
      if (!extender.prioritizes || !extender.isInterested(task.pod)) continue;
      try {
        const answer = await extender.prioritize(task.pod, sheet.nodes);
        const scores = sheet.nodes.map((node) => answer.get(node.name) ?? 0);
        scores.forEach((score, i) => {
          sheet.totals[i] = (sheet.totals[i] ?? 0) + score;
        });
        sheet.columns.push({ plugin: extender.name, scores });
      } catch {
        // Upstream lets the other scores decide: a preference is never worth a failure.
      }
    }
    return sheet;
  }

  /** The highest total; among equals any, at random. */
  #best({ nodes, totals }: ScoreSheet): string {
    let best = 0;
    let equals = 1;
    for (let i = 1; i < totals.length; i++) {
      const total = totals[i] ?? 0;
      const highest = totals[best] ?? 0;
      if (total > highest) {
        best = i;
        equals = 1;
      } else if (total === highest && this.#deps.random() * ++equals < 1) best = i;
    }
    return nodes[best]?.name ?? '';
  }
}

interface Task {
  readonly profile: Profile;
  readonly state: CycleState;
  readonly pod: PodInfo;
}

interface Search {
  feasible: NodeInfo[];
  readonly rejections: Map<string, Status>;
}

class StatusError extends Error {
  readonly status: Status;

  constructor(status: Status) {
    super(status.reasons.join(', '), { cause: status.cause });
    this.status = status;
  }
}

async function consult(extender: Extender, { pod }: Task, search: Search): Promise<void> {
  try {
    const answer = await extender.filter(pod, search.feasible);
    search.feasible = answer.nodes;
    for (const [name, status] of answer.rejections) search.rejections.set(name, status);
  } catch (err) {
    if (!extender.ignorable) throw new StatusError(failed(errorMessage(err), err));
  }
}

function restrict(snapshot: Snapshot, names: ReadonlySet<string> | undefined): readonly NodeInfo[] {
  if (!names) return snapshot.nodes;
  return [...names].flatMap((name) => snapshot.get(name) ?? []);
}

/** A PreFilter refusal holds for every node. */
function refusedBefore(status: Status, snapshot: Snapshot): Placement {
  if (!isRejection(status)) return { kind: 'failed', status };
  const diagnosis = diagnose(snapshot.nodes.length, { absent: status, preFilter: status });
  return { kind: 'unschedulable', diagnosis };
}

function diagnosis(
  snapshot: Snapshot,
  { rejections }: Search,
  { nodes, restrictedBy }: { nodes?: ReadonlySet<string>; restrictedBy: readonly string[] },
): Diagnosis {
  if (!nodes) return diagnose(snapshot.nodes.length, { rejections });
  const plugins = [...restrictedBy].sort().join(' ');
  const absent = unresolvable(`node(s) didn't satisfy plugin(s) [${plugins}]`);
  const result = diagnose(snapshot.nodes.length, { rejections, absent });
  for (const plugin of restrictedBy) blame(result, { ...absent, plugin });
  return result;
}
