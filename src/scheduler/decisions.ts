import type { Clock } from '../util/clock.ts';
import type { ScoreSheet } from './profile.ts';
import type { Status } from './status.ts';

/** How one attempt to place a Pod went. */
export interface Decision {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  readonly profile: string;
  readonly attempt: number;
  readonly outcome: 'placed' | 'unschedulable' | 'failed';
  /** Where it was placed, or what node is being made free for it. */
  readonly node?: string | undefined;
  /** Why it was not placed. */
  readonly message?: string | undefined;
  readonly nodeCount: number;
  readonly rejections: ReadonlyMap<string, Status>;
  readonly scores?: ScoreSheet | undefined;
}

/** One node's part in a decision, as it is served. */
export interface NodeVerdict {
  readonly node: string;
  readonly rejectedBy?: string;
  readonly reasons?: readonly string[];
  readonly total?: number;
  readonly scores?: Readonly<Record<string, number>>;
}

/** A decision as it is served. */
export interface DecisionReport {
  readonly pod: string;
  readonly uid: string;
  readonly time: string;
  readonly profile: string;
  readonly attempt: number;
  readonly outcome: Decision['outcome'];
  readonly node?: string;
  readonly message?: string;
  readonly nodeCount: number;
  /** Best scores first, then the refusals. Nodes that were not looked at are missing. */
  readonly nodes: readonly NodeVerdict[];
}

interface Kept {
  readonly decision: Decision;
  readonly at: number;
  /** Names instead of nodes: a record must not keep old snapshots alive. */
  readonly names: readonly string[];
  readonly size: number;
}

const MAX_PODS = 10_000;
/** Numbers and refusals kept in all: some ten megabytes. */
const MAX_CELLS = 1_000_000;

/** The last decision about each of the latest Pods. The oldest are forgotten first. */
export class DecisionRecord {
  readonly #clock: Clock;
  readonly #kept = new Map<string, Kept>();
  #cells = 0;

  constructor(deps: { clock: Clock }) {
    this.#clock = deps.clock;
  }

  add(decision: Decision): void {
    const { scores, rejections } = decision;
    this.#drop(decision.uid);
    const size =
      1 + rejections.size + (scores?.totals.length ?? 0) * ((scores?.columns.length ?? 0) + 1);
    const names = scores?.nodes.map((node) => node.name) ?? [];
    const kept = scores ? { ...decision, scores: { ...scores, nodes: [] } } : decision;
    this.#kept.set(decision.uid, { decision: kept, at: this.#clock.now(), names, size });
    this.#cells += size;
    while (this.#kept.size > MAX_PODS || (this.#cells > MAX_CELLS && this.#kept.size > 1)) {
      const [oldest] = this.#kept.keys();
      if (oldest === undefined) break;
      this.#drop(oldest);
    }
  }

  /** What is known of the Pod of that name; of the newest, should there have been several. */
  find(namespace: string, name: string): DecisionReport | undefined {
    let found: Kept | undefined;
    for (const kept of this.#kept.values()) {
      const { decision } = kept;
      if (decision.name === name && decision.namespace === namespace) found = kept;
    }
    return found && reportOf(found);
  }

  #drop(uid: string): void {
    this.#cells -= this.#kept.get(uid)?.size ?? 0;
    this.#kept.delete(uid);
  }
}

function reportOf({ decision, at, names }: Kept): DecisionReport {
  const { scores, rejections, node, message } = decision;
  const fits = names.map((name, i) => ({
    node: name,
    total: scores?.totals[i] ?? 0,
    scores: Object.fromEntries(
      (scores?.columns ?? []).map((column) => [column.plugin, column.scores[i] ?? 0]),
    ),
  }));
  const refused = [...rejections].map(([name, status]) => ({
    node: name,
    rejectedBy: status.plugin ?? '',
    reasons: status.reasons,
  }));
  return {
    pod: `${decision.namespace}/${decision.name}`,
    uid: decision.uid,
    time: new Date(at).toISOString(),
    profile: decision.profile,
    attempt: decision.attempt,
    outcome: decision.outcome,
    ...(node ? { node } : {}),
    ...(message ? { message } : {}),
    nodeCount: decision.nodeCount,
    nodes: [...fits.sort((a, b) => b.total - a.total), ...refused],
  };
}
