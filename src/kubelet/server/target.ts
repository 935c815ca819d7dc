import type { ObjectKey } from '../../api/resource-types.ts';
import type { Pleg } from '../pleg.ts';
import type { PodDirs } from '../pod-dirs.ts';
import type { PodState } from '../pod-state.ts';
import type { PodWorkers } from '../pod-workers.ts';
import type { ContainerRuntime } from '../runtime/runtime.ts';

/** What the doors of the kubelet look at. */
export interface Target {
  readonly workers: PodWorkers;
  readonly pleg: Pleg;
  readonly dirs: PodDirs;
  readonly runtime: ContainerRuntime;
  now(): number;
}

export function findPod(
  { workers }: Target,
  key: ObjectKey & { uid?: string },
): PodState | undefined {
  return workers.list().find(({ pod: { metadata } }) => {
    if (metadata.namespace !== key.namespace || metadata.name !== key.name) return false;
    return key.uid === undefined || metadata.uid === key.uid;
  });
}
