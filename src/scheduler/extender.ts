import type { NodeInfo } from './node-info.ts';
import type { PodInfo } from './pod-info.ts';
import type { Status } from './status.ts';

/** Victims that preemption proposes for one node. */
export interface ProposedVictims {
  readonly pods: readonly PodInfo[];
  readonly pdbViolations: number;
}

/** A program outside that has a say in scheduling. Methods reject when it cannot be asked or answers nonsense. */
export interface Extender {
  readonly name: string;
  /** When it cannot be asked, go on without it. */
  readonly ignorable: boolean;
  readonly filters: boolean;
  readonly prioritizes: boolean;
  readonly binds: boolean;
  readonly preempts: boolean;
  isInterested(pod: PodInfo): boolean;
  filter(
    pod: PodInfo,
    nodes: readonly NodeInfo[],
  ): Promise<{ nodes: NodeInfo[]; rejections: ReadonlyMap<string, Status> }>;
  /** Node name → weighted score. */
  prioritize(pod: PodInfo, nodes: readonly NodeInfo[]): Promise<ReadonlyMap<string, number>>;
  bind(pod: PodInfo, nodeName: string): Promise<void>;
  /** The victims that it agrees with; nodes may be missing from the answer. */
  preempt(
    pod: PodInfo,
    victims: ReadonlyMap<string, ProposedVictims>,
  ): Promise<ReadonlyMap<string, ProposedVictims>>;
}
