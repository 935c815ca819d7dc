import type { Clock } from '../util/clock.ts';
import type { ScoreSheet } from './profile.ts';
import { type RingEntry, ScoreRing } from './score-ring.ts';
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
  readonly decision: Omit<Decision, 'scores'>;
  readonly at: number;
  /** Numbers instead of nodes: a record must not keep old snapshots alive. */
  readonly scores: RingEntry | undefined;
}

const MAX_PODS = 10_000;
/** Refusals kept in all: some ten megabytes. */
const MAX_REFUSALS = 1_000_000;

/** The last decision about each of the latest Pods. The oldest are forgotten first. */
export class DecisionRecord {
  readonly #clock: Clock;
  readonly #kept = new Map<string, Kept>();
  readonly #ring = new ScoreRing();
  #refusals = 0;

  constructor(deps: { clock: Clock }) {
    this.#clock = deps.clock;
  }

  /** The scores are copied. */
  add({ scores, ...decision }: Decision): void {
    this.#drop(decision.uid);
    const entry = scores && this.#ring.add(scores);
    this.#kept.set(decision.uid, { decision, at: this.#clock.now(), scores: entry });
    this.#refusals += decision.rejections.size;
    for (const [uid, kept] of this.#kept) {
      if (!this.#isTooMuch() && !this.#isOver(kept)) break;
      this.#drop(uid);
    }
  }

  #isTooMuch(): boolean {
    return this.#kept.size > MAX_PODS || (this.#refusals > MAX_REFUSALS && this.#kept.size > 1);
  }

  #isOver({ scores }: Kept): boolean {
    return scores !== undefined && !this.#ring.holds(scores);
  }

  /** What is known of the Pod of that name; of the newest, should there have been several. */
  find(namespace: string, name: string): DecisionReport | undefined {
    let found: Kept | undefined;
    for (const kept of this.#kept.values()) {
      const { decision } = kept;
      if (decision.name === name && decision.namespace === namespace) found = kept;
    }
    if (!found || this.#isOver(found)) return undefined;
    return reportOf(found, found.scores ? this.#ring.read(found.scores) : []);
  }

  #drop(uid: string): void {
    this.#refusals -= this.#kept.get(uid)?.decision.rejections.size ?? 0;
    this.#kept.delete(uid);
  }
}

function reportOf({ decision, at }: Kept, fits: NodeVerdict[]): DecisionReport {
  const { rejections, node, message } = decision;
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
    nodes: [...fits.sort((a, b) => (b.total ?? 0) - (a.total ?? 0)), ...refused],
  };
}
