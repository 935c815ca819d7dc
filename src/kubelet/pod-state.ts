import type { Pod } from '../api/types.ts';
import type { WaitingReason } from './container-status.ts';

/** Why a pod that has not asked to end is ended: eviction, a deadline, a refusal to run it at all. */
export interface Failure {
  readonly reason: string;
  readonly message: string;
  /** Seconds that its containers get; the pod's own grace period when absent. */
  readonly gracePeriod?: number;
  /** Shown as condition DisruptionTarget. */
  readonly disruption?: boolean;
}

/** What the kubelet remembers of a pod between two looks at it. All of it can be lost and found again. */
export interface PodState {
  readonly uid: string;
  /** The newest version that a source has given. */
  pod: Pod;
  /** Why a container does not run, by its name; from the last sync. */
  waiting: Map<string, WaitingReason>;
  failure: Failure | undefined;
  /** All its containers are being restarted by a rule (KEP-5532). */
  restartingAll: boolean;
  /** Its containers have ended for good; nothing is started any more. */
  over: boolean;
  /** No source names the pod any more: nobody waits for its status. */
  removed: boolean;
  /** Containers whose preStop hook has begun: it runs once, however often the stop is tried. */
  readonly preStopped: Set<string>;
}

export function newPodState(pod: Pod): PodState {
  return {
    uid: pod.metadata.uid,
    pod,
    waiting: new Map(),
    failure: undefined,
    restartingAll: false,
    over: false,
    removed: false,
    preStopped: new Set(),
  };
}
