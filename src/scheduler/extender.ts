import type { NodeInfo } from './node-info.ts';
import type { PodInfo } from './pod-info.ts';
import type { Status } from './status.ts';
import type { Victims } from './victims.ts';

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
  /** The candidates that it agrees with; some may be missing from the answer. */
  preempt(pod: PodInfo, candidates: readonly Victims[]): Promise<readonly Victims[]>;
}

/** Asks the extenders that take part in preemption; each may only take candidates or victims away. */
export async function consultPreemption(
  extenders: readonly Extender[],
  pod: PodInfo,
  candidates: readonly Victims[],
): Promise<readonly Victims[]> {
  let left = candidates;
  for (const extender of extenders) {
    if (left.length === 0 || !extender.preempts || !extender.isInterested(pod)) continue;
    try {
      left = await extender.preempt(pod, left);
    } catch (err) {
      if (!extender.ignorable) throw err;
    }
  }
  return left;
}
