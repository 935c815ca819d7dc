import type { Pod } from '../../api/types.ts';
import { isCriticalPod } from '../critical-pods.ts';
import { podRequest } from '../resources.ts';
import type { PodStats } from '../stats/summary.ts';
import type { Resource } from './signals.ts';

/** A pod that could go, with what it uses of what is short. */
export interface Candidate {
  readonly pod: Pod;
  readonly stats: PodStats | undefined;
}

export function usageOf({ stats }: Candidate, resource: Resource): number {
  switch (resource) {
    case 'memory':
      return stats?.memory?.workingSetBytes ?? 0;
    case 'ephemeral-storage':
      return stats?.['ephemeral-storage']?.usedBytes ?? 0;
    case 'inodes':
      return stats?.['ephemeral-storage']?.inodesUsed ?? 0;
    case 'pids':
      return stats?.process_stats?.process_count ?? 0;
  }
}

/**
 * Who goes first: who uses more than asked for, then who matters less, then who is furthest above the request. Critical
 * pods never go. Pure.
 * https://kubernetes.io/docs/concepts/scheduling-eviction/node-pressure-eviction/#pod-selection-for-kubelet-eviction
 */
export function rankForEviction(candidates: readonly Candidate[], resource: Resource): Candidate[] {
  const excess = (c: Candidate): number => usageOf(c, resource) - requestOf(c.pod, resource);
  const exceeds = (c: Candidate): number => (excess(c) > 0 ? 0 : 1);
  const priority = ({ pod }: Candidate): number => pod.spec?.priority ?? 0;
  const byRequest = resource === 'memory' || resource === 'ephemeral-storage';
  return candidates
    .filter(({ pod }) => !isCriticalPod(pod))
    .sort(
      (a, b) =>
        (byRequest ? exceeds(a) - exceeds(b) : 0) ||
        priority(a) - priority(b) ||
        excess(b) - excess(a),
    );
}

/** Inodes and processes cannot be asked for. */
function requestOf(pod: Pod, resource: Resource): number {
  return resource === 'memory' || resource === 'ephemeral-storage' ? podRequest(pod, resource) : 0;
}
