import type { Container, Pod, PodSpec } from '../api/types.ts';
import {
  containerHash,
  type RuntimeContainer,
  type RuntimePod,
  type RuntimeSandbox,
} from './runtime-pod.ts';

/** A pod as tests want it: containers by name, everything else left out. */
export function podWith(
  spec: Partial<Omit<PodSpec, 'containers' | 'initContainers'>> & {
    containers?: Partial<Container>[];
    initContainers?: Partial<Container>[];
  } = {},
  metadata: Partial<Pod['metadata']> = {},
): Pod {
  const { containers = [{ name: 'main' }], initContainers, ...rest } = spec;
  const whole = (c: Partial<Container>): Container => ({ name: 'main', image: 'image', ...c });
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name: 'web',
      namespace: 'default',
      uid: 'uid-1',
      resourceVersion: '1',
      creationTimestamp: '2026-01-01T00:00:00Z',
      ...metadata,
    },
    spec: {
      ...rest,
      containers: containers.map(whole),
      ...(initContainers ? { initContainers: initContainers.map(whole) } : {}),
    },
  };
}

/** A container that the runtime has, made from a container of `podWith`. */
export function ranContainer(
  name: string,
  fields: Partial<RuntimeContainer> = {},
): RuntimeContainer {
  return {
    id: `id-${name}-${fields.attempt ?? 0}`,
    name,
    attempt: 0,
    sandboxId: 'sandbox-0',
    state: 'running',
    createdAt: 1000,
    startedAt: 2000,
    finishedAt: 0,
    exitCode: 0,
    reason: '',
    message: '',
    image: 'image',
    imageId: 'sha256:1',
    hash: containerHash({ name, image: 'image' }),
    logPath: '',
    annotations: {},
    resources: undefined,
    user: undefined,
    ...fields,
  };
}

export function exited(
  name: string,
  exitCode: number,
  fields: Partial<RuntimeContainer> = {},
): RuntimeContainer {
  return ranContainer(name, { state: 'exited', exitCode, finishedAt: 3000, ...fields });
}

export function runtimePod(
  containers: readonly RuntimeContainer[],
  sandbox: Partial<RuntimeSandbox> | undefined = {},
): RuntimePod {
  const made: RuntimeSandbox = {
    id: 'sandbox-0',
    attempt: 0,
    ready: true,
    createdAt: 500,
    ips: ['10.244.0.5'],
    network: 'POD',
    annotations: {},
    ...sandbox,
  };
  return { uid: 'uid-1', name: 'web', namespace: 'default', sandboxes: [made], containers };
}
