import type { Container, Pod } from '../api/types.ts';
import type { ContainerDevices } from './devices/container-devices.ts';
import { ContainerConfigError, expand } from './environment.ts';
import {
  CONTAINER_NAME_LABEL,
  gracePeriodOf,
  HASH_ANNOTATION,
  MESSAGE_PATH_ANNOTATION,
  MESSAGE_POLICY_ANNOTATION,
  POD_GRACE_ANNOTATION,
  POD_NAME_LABEL,
  POD_NAMESPACE_LABEL,
  POD_UID_LABEL,
  PORTS_ANNOTATION,
  PRE_STOP_ANNOTATION,
  RESTART_COUNT_ANNOTATION,
} from './names.ts';
import type { ContainerConfig, LinuxContainerResources, Mount } from './runtime/runtime.ts';
import { containerHash } from './runtime-pod.ts';
import { containerSecurityContext } from './security-context.ts';
import type { MountedVolume } from './volumes/volume-error.ts';

export interface ContainerFacts {
  attempt: number;
  /** What the runtime calls the image. */
  imageRef: string;
  env: ReadonlyMap<string, string>;
  mounts: Mount[];
  devices: ContainerDevices;
  resources: LinuxContainerResources;
  seccompDefault: boolean;
  /** The container whose processes an ephemeral container joins. */
  targetId?: string | undefined;
}

/** The container that the pod asks for, in the runtime's words. */
export function containerConfig(
  pod: Pod,
  container: Container,
  facts: ContainerFacts,
): ContainerConfig {
  const { env } = facts;
  const expanded = (words: readonly string[] | undefined): string[] =>
    (words ?? []).map((word) => expand(word, (name) => env.get(name)));
  const stopSignal = container.lifecycle?.stopSignal;
  return {
    metadata: { name: container.name, attempt: facts.attempt },
    image: { image: facts.imageRef, userSpecifiedImage: container.image ?? '' },
    command: expanded(container.command),
    args: expanded(container.args),
    workingDir: container.workingDir ?? '',
    envs: [...env].map(([key, value]) => ({ key, value: Buffer.from(value) })),
    mounts: facts.mounts,
    devices: [...facts.devices.devices],
    ...(facts.devices.cdi.length > 0 ? { CDIDevices: [...facts.devices.cdi] } : {}),
    labels: containerLabels(pod, container),
    annotations: {
      ...facts.devices.annotations,
      ...containerAnnotations(pod, container, facts.attempt),
    },
    logPath: logPathOf(container, facts.attempt),
    stdin: container.stdin === true,
    stdinOnce: container.stdinOnce === true,
    tty: container.tty === true,
    linux: {
      resources: facts.resources,
      securityContext: containerSecurityContext(pod, container, facts),
    },
    ...(stopSignal === undefined ? {} : { stopSignal }),
  };
}

/** Relative to the pod's log directory. */
export function logPathOf(container: { name: string }, attempt: number): string {
  return `${container.name}/${attempt}.log`;
}

function containerLabels(pod: Pod, container: Container): Record<string, string> {
  return {
    [CONTAINER_NAME_LABEL]: container.name,
    [POD_NAME_LABEL]: pod.metadata.name,
    [POD_NAMESPACE_LABEL]: pod.metadata.namespace,
    [POD_UID_LABEL]: pod.metadata.uid,
  };
}

function containerAnnotations(
  pod: Pod,
  container: Container,
  attempt: number,
): Record<string, string> {
  const preStop = container.lifecycle?.preStop;
  return {
    [HASH_ANNOTATION]: containerHash(container),
    [RESTART_COUNT_ANNOTATION]: String(attempt),
    [MESSAGE_PATH_ANNOTATION]: container.terminationMessagePath ?? '/dev/termination-log',
    [MESSAGE_POLICY_ANNOTATION]: container.terminationMessagePolicy ?? 'File',
    [POD_GRACE_ANNOTATION]: String(gracePeriodOf(pod)),
    ...(preStop ? { [PRE_STOP_ANNOTATION]: JSON.stringify({ preStop }) } : {}),
    ...(container.ports?.length ? { [PORTS_ANNOTATION]: JSON.stringify(container.ports) } : {}),
  };
}

type VolumeMount = NonNullable<Container['volumeMounts']>[number];

const PROPAGATION = {
  HostToContainer: 'PROPAGATION_HOST_TO_CONTAINER',
  Bidirectional: 'PROPAGATION_BIDIRECTIONAL',
} as const;

/** One volume mount as a bind mount; `hostPath` already holds the sub-path, if there is one. */
export function mountOf(
  mount: VolumeMount,
  volume: MountedVolume,
  { hostPath, recursiveReadOnly }: { hostPath: string; recursiveReadOnly: boolean },
): Mount {
  const { mountPropagation: propagation, mountPath } = mount;
  const known = propagation === 'HostToContainer' || propagation === 'Bidirectional';
  return {
    containerPath: mountPath.startsWith('/') ? mountPath : `/${mountPath}`,
    hostPath,
    readonly: mount.readOnly === true || volume.readOnly,
    ...(isRecursive(mount, recursiveReadOnly) ? { recursiveReadOnly: true } : {}),
    ...(known ? { propagation: PROPAGATION[propagation] } : {}),
  };
}

/** Whether mounts below it are read-only too (KEP-3857); throws when that must be and cannot. */
function isRecursive({ name, recursiveReadOnly }: VolumeMount, supported: boolean): boolean {
  if (recursiveReadOnly === 'Enabled' && !supported) {
    throw new ContainerConfigError(
      `volume ${JSON.stringify(name)}: recursive read-only mounts are not supported by the runtime`,
    );
  }
  return supported && (recursiveReadOnly === 'Enabled' || recursiveReadOnly === 'IfPossible');
}

/** The mount's sub-path with the container's variables filled in; undefined when the whole volume is mounted. */
export function subPathOf(
  mount: VolumeMount,
  env: ReadonlyMap<string, string>,
): string | undefined {
  if (mount.subPathExpr) {
    const path = mount.subPathExpr.replace(/\$\(([^()]*)\)/g, (_, name: string) => {
      const value = env.get(name);
      if (value === undefined) {
        throw new ContainerConfigError(`missing value for "${name}"`);
      }
      return value;
    });
    return checkedSubPath(path);
  }
  return mount.subPath ? checkedSubPath(mount.subPath) : undefined;
}

function checkedSubPath(path: string): string {
  if (path.startsWith('/')) {
    throw new ContainerConfigError(
      `error SubPath ${JSON.stringify(path)} must not be an absolute path`,
    );
  }
  if (path.split('/').includes('..')) {
    throw new ContainerConfigError(
      `unable to provision SubPath ${JSON.stringify(path)}: must not contain ".."`,
    );
  }
  return path;
}
