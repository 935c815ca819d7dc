import type { IncomingMessage, ServerResponse } from 'node:http';
import type { ObjectKey } from '../../api/resource-types.ts';
import type { MachineFacts } from '../../host/machine.ts';
import type { KubeletOptions } from '../kubelet-deps.ts';
import type { KubeletMetrics } from '../metrics.ts';
import type { Pleg } from '../pleg.ts';
import type { PodDirs } from '../pod-dirs.ts';
import type { PodState } from '../pod-state.ts';
import type { PodWorkers } from '../pod-workers.ts';
import type { ContainerRuntime } from '../runtime/runtime.ts';
import type { StatsProvider } from '../stats/stats-provider.ts';
import type { StatusManager } from '../status-manager.ts';

/** One request whose caller may make it. */
export interface KubeletRequest {
  req: IncomingMessage;
  res: ServerResponse;
  url: URL;
  /** Path parts after the first. */
  parts: string[];
  signal: AbortSignal;
}

/** What the doors of the kubelet look at. */
export interface Target {
  readonly workers: PodWorkers;
  readonly pleg: Pleg;
  readonly dirs: PodDirs;
  readonly runtime: ContainerRuntime;
  readonly status: StatusManager;
  readonly stats: StatsProvider;
  readonly metrics: KubeletMetrics;
  readonly machine: MachineFacts;
  readonly options: KubeletOptions;
  /** Directory for checkpoints of containers. */
  readonly checkpoints: string;
  /** The control group of a pod; empty when it is not known. */
  groupOf(uid: string): string;
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
