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

/** What of a pod's disk lies on the file system that is short: containers' layers may be on one of their own. */
export type DiskPart = 'all' | 'layers' | 'others';

/** What is short, and where. */
export interface Shortage {
  readonly resource: Resource;
  readonly part: DiskPart;
}

export function usageOf({ stats }: Candidate, { resource, part }: Shortage): number {
  switch (resource) {
    case 'memory':
      return stats?.memory?.workingSetBytes ?? 0;
    case 'ephemeral-storage':
      return diskUsage(stats, 'usedBytes', part);
    case 'inodes':
      return diskUsage(stats, 'inodesUsed', part);
    case 'pids':
      return stats?.process_stats?.process_count ?? 0;
  }
}

function diskUsage(
  stats: PodStats | undefined,
  field: 'usedBytes' | 'inodesUsed',
  part: DiskPart,
): number {
  const all = stats?.['ephemeral-storage']?.[field] ?? 0;
  if (part === 'all') return all;
  const layers = (stats?.containers ?? []).reduce((sum, c) => sum + (c.rootfs?.[field] ?? 0), 0);
  return part === 'layers' ? layers : all - layers;
}

/**
 * Who goes first: who uses more than asked for, then who matters less, then who is furthest above the request. Critical
 * pods never go. Pure.
 * https://kubernetes.io/docs/concepts/scheduling-eviction/node-pressure-eviction/#pod-selection-for-kubelet-eviction
 */
export function rankForEviction(candidates: readonly Candidate[], short: Shortage): Candidate[] {
  const { resource } = short;
  const excess = (c: Candidate): number => usageOf(c, short) - requestOf(c.pod, resource);
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
