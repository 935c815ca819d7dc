import type { PodDisruptionBudget } from '../api/types.ts';
import type { CycleState } from './cycle-state.ts';
import type { Unplaced, WhatIf } from './framework.ts';
import type { NodeInfo } from './node-info.ts';
import type { PodInfo } from './pod-info.ts';
import { type Status, unresolvable, unschedulable } from './status.ts';
import { byImportance, splitByBudgets, type Victims } from './victims.ts';

const NO_VICTIMS = unresolvable('No preemption victims found for incoming pod');

export interface DryRunOptions {
  readonly budgets: readonly PodDisruptionBudget[];
  /** Stop after so many candidates. */
  readonly enough: number;
  /** Where in the list of nodes to begin. */
  readonly offset: number;
}

export interface DryRun {
  readonly candidates: readonly Victims[];
  /** Why the other nodes are none. */
  readonly rejections: Map<string, Status>;
}

/** How many candidates are enough: 10 % of the nodes, at least 100 (DefaultPreemptionArgs). */
export function candidatesWanted(
  nodeCount: number,
  args: { minCandidateNodesPercentage: number; minCandidateNodesAbsolute: number },
): number {
  const share = Math.floor((nodeCount * args.minCandidateNodesPercentage) / 100);
  return Math.min(nodeCount, Math.max(share, args.minCandidateNodesAbsolute));
}

/** Tries, node by node, which lower-priority Pods would have to go for the Pod to fit. Nothing is changed. */
export function dryRun(
  unplaced: Unplaced,
  nodes: readonly NodeInfo[],
  framework: WhatIf,
  options: DryRunOptions,
): DryRun {
  const withoutViolations: Victims[] = [];
  const withViolations: Victims[] = [];
  const rejections = new Map<string, Status>();
  // One copy for all nodes: each trial is undone, which costs less than a copy per node.
  const state = unplaced.state.clone();
  for (let i = 0; i < nodes.length; i++) {
    const node = nodes[(options.offset + i) % nodes.length] as NodeInfo;
    const trial = new Trial(state, unplaced.pod, node.copy(), framework);
    const found = trial.victims(options.budgets);
    trial.undo();
    if ('code' in found) rejections.set(node.name, found);
    else (found.pdbViolations === 0 ? withoutViolations : withViolations).push(found);
    const enough = withoutViolations.length + withViolations.length >= options.enough;
    if (enough && withoutViolations.length > 0) break;
  }
  return { candidates: [...withoutViolations, ...withViolations], rejections };
}

/** One node, with Pods taken away and put back. */
class Trial {
  readonly #state: CycleState;
  readonly #pod: PodInfo;
  readonly #node: NodeInfo;
  readonly #framework: WhatIf;
  readonly #removed = new Map<string, PodInfo>();

  constructor(state: CycleState, pod: PodInfo, node: NodeInfo, framework: WhatIf) {
    this.#state = state;
    this.#pod = pod;
    this.#node = node;
    this.#framework = framework;
  }

  /** Removes all Pods of lower priority, then brings back, most important first, each that leaves room. */
  victims(budgets: readonly PodDisruptionBudget[]): Victims | Status {
    const lower = [...this.#node.pods.values()].filter((p) => p.priority < this.#pod.priority);
    if (lower.length === 0) return NO_VICTIMS;
    for (const other of lower) this.#remove(other);
    const status = this.#fits();
    if (status) return status;
    const { violating, others } = splitByBudgets(lower.sort(byImportance), budgets);
    const victims: PodInfo[] = [];
    let pdbViolations = 0;
    for (const other of violating) {
      if (this.#reprieve(other)) continue;
      victims.push(other);
      pdbViolations++;
    }
    for (const other of others) if (!this.#reprieve(other)) victims.push(other);
    if (victims.length === 0) {
      return unschedulable('expected at least one victim pod on node');
    }
    return { nodeName: this.#node.name, pods: victims.sort(byImportance), pdbViolations };
  }

  undo(): void {
    for (const other of [...this.#removed.values()]) this.#add(other);
  }

  #reprieve(other: PodInfo): boolean {
    this.#add(other);
    if (!this.#fits()) return true;
    this.#remove(other);
    return false;
  }

  #fits(): Status | undefined {
    return this.#framework.filterWithNominated(this.#state, this.#pod, this.#node);
  }

  #remove(other: PodInfo): void {
    this.#removed.set(other.uid, other);
    this.#node.removePod(other.uid);
    this.#framework.removePod(this.#state, this.#pod, other, this.#node);
  }

  #add(other: PodInfo): void {
    this.#removed.delete(other.uid);
    this.#node.addPod(other);
    this.#framework.addPod(this.#state, this.#pod, other, this.#node);
  }
}
