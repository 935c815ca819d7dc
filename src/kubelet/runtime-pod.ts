import { createHash } from 'node:crypto';
import type { Container } from '../api/types.ts';
import { CONTAINER_NAME_LABEL, HASH_ANNOTATION } from './names.ts';
import type {
  ContainerStatus,
  LinuxContainerResources,
  NamespaceMode,
  PodSandboxStatus,
} from './runtime/runtime.ts';

export type RunState = 'created' | 'running' | 'exited' | 'unknown';

/** One container as the runtime knows it. Times are milliseconds since the epoch, 0 when not yet. */
export interface RuntimeContainer {
  readonly id: string;
  readonly name: string;
  /** The pod's restart count at the time it was created. */
  readonly attempt: number;
  readonly sandboxId: string;
  readonly state: RunState;
  readonly createdAt: number;
  readonly startedAt: number;
  readonly finishedAt: number;
  readonly exitCode: number;
  readonly reason: string;
  /** What the container left behind on its end, or the runtime's words. */
  readonly message: string;
  readonly image: string;
  readonly imageId: string;
  /** Of the container spec it was made from; another hash means another container is wanted. */
  readonly hash: string;
  readonly logPath: string;
  readonly annotations: Readonly<Record<string, string>>;
  readonly resources: LinuxContainerResources | undefined;
  readonly user: { uid: number; gid: number; supplementalGroups: number[] } | undefined;
}

export interface RuntimeSandbox {
  readonly id: string;
  readonly attempt: number;
  readonly ready: boolean;
  readonly createdAt: number;
  readonly ips: readonly string[];
  readonly network: NamespaceMode;
  readonly annotations: Readonly<Record<string, string>>;
}

/** A pod as the runtime knows it, newest sandbox and newest container first. */
export interface RuntimePod {
  readonly uid: string;
  readonly name: string;
  readonly namespace: string;
  readonly sandboxes: readonly RuntimeSandbox[];
  readonly containers: readonly RuntimeContainer[];
}

export function emptyRuntimePod(uid: string, name = '', namespace = ''): RuntimePod {
  return { uid, name, namespace, sandboxes: [], containers: [] };
}

/** The newest container of that name. */
export function newestContainer(pod: RuntimePod, name: string): RuntimeContainer | undefined {
  return pod.containers.find((c) => c.name === name);
}

/** The pod without the containers of earlier sandboxes: what counts for the next action. */
export function inCurrentSandbox(pod: RuntimePod): RuntimePod {
  const current = pod.sandboxes[0]?.id;
  return { ...pod, containers: pod.containers.filter((c) => c.sandboxId === current) };
}

export function isRunning(pod: RuntimePod): boolean {
  return pod.containers.some((c) => c.state === 'running') || pod.sandboxes.some((s) => s.ready);
}

/** Only the name and the image: other fields of a container may change in place. */
export function containerHash(container: Container): string {
  const text = JSON.stringify({ name: container.name, image: container.image });
  return createHash('sha256').update(text).digest('hex').slice(0, 8);
}

const STATES: Record<string, RunState> = {
  CONTAINER_CREATED: 'created',
  CONTAINER_RUNNING: 'running',
  CONTAINER_EXITED: 'exited',
};

export function runStateOf(state: string): RunState {
  return STATES[state] ?? 'unknown';
}

const toMs = (nanoseconds: number): number => Math.max(0, Math.round(nanoseconds / 1e6));

/** Translates one container; `message` is what it left in its termination message file. */
export function runtimeContainer(
  status: ContainerStatus,
  sandboxId: string,
  message: string,
): RuntimeContainer {
  return {
    id: status.id,
    name: status.labels[CONTAINER_NAME_LABEL] ?? status.metadata.name,
    attempt: status.metadata.attempt,
    sandboxId,
    state: runStateOf(status.state),
    createdAt: toMs(status.createdAt),
    startedAt: toMs(status.startedAt),
    finishedAt: toMs(status.finishedAt),
    exitCode: status.exitCode,
    reason: status.reason,
    message: [status.message, message].filter((text) => text !== '').join(': '),
    image: status.image?.image ?? '',
    imageId: status.imageId || status.imageRef,
    hash: status.annotations[HASH_ANNOTATION] ?? '',
    logPath: status.logPath,
    annotations: status.annotations,
    resources: status.resources?.linux ?? undefined,
    user: status.user?.linux ?? undefined,
  };
}

export function runtimeSandbox(status: PodSandboxStatus): RuntimeSandbox {
  const { network } = status;
  const ips = network ? [network.ip, ...network.additionalIps.map((a) => a.ip)] : [];
  return {
    id: status.id,
    attempt: status.metadata.attempt,
    ready: status.state === 'SANDBOX_READY',
    createdAt: toMs(status.createdAt),
    ips: ips.filter((ip) => ip !== ''),
    network: status.linux?.namespaces?.options?.network ?? 'POD',
    annotations: status.annotations,
  };
}
