import { isMirrorPod } from '../api/pods.ts';
import type { Container, Pod } from '../api/types.ts';
import { inexact } from '../util/exact-json.ts';

/** Labels that every sandbox and container of ours carries; runtime tools show and select by them. */
export const POD_NAME_LABEL = 'io.kubernetes.pod.name';
export const POD_NAMESPACE_LABEL = 'io.kubernetes.pod.namespace';
export const POD_UID_LABEL = 'io.kubernetes.pod.uid';
export const CONTAINER_NAME_LABEL = 'io.kubernetes.container.name';

/** Annotations by which a restarted kubelet understands containers that it did not start itself. */
export const HASH_ANNOTATION = 'io.kubernetes.container.hash';
export const RESTART_COUNT_ANNOTATION = 'io.kubernetes.container.restartCount';
export const MESSAGE_PATH_ANNOTATION = 'io.kubernetes.container.terminationMessagePath';
export const MESSAGE_POLICY_ANNOTATION = 'io.kubernetes.container.terminationMessagePolicy';
export const PRE_STOP_ANNOTATION = 'io.kubernetes.container.preStopHandler';
export const PORTS_ANNOTATION = 'io.kubernetes.container.ports';
export const POD_GRACE_ANNOTATION = 'io.kubernetes.pod.terminationGracePeriod';

/** Marks of static pods and of the mirrors that show them in the API. */
export const CONFIG_SOURCE_ANNOTATION = 'kubernetes.io/config.source';
export const CONFIG_HASH_ANNOTATION = 'kubernetes.io/config.hash';
export const CONFIG_SEEN_ANNOTATION = 'kubernetes.io/config.seen';
export const CONFIG_MIRROR_ANNOTATION = 'kubernetes.io/config.mirror';

/** `NAME_NAMESPACE(UID)`: how messages name a pod. */
export function podLabel(pod: Pod): string {
  const { name, namespace, uid } = pod.metadata;
  return `${name}_${namespace}(${uid})`;
}

/** `NAMESPACE/NAME`, the `pod` field of log lines. */
export function podKey(pod: Pod): string {
  return `${pod.metadata.namespace}/${pod.metadata.name}`;
}

/** A static pod comes from a file (or URL), not from the API. */
export function isStatic(pod: Pod): boolean {
  const source = pod.metadata.annotations?.[CONFIG_SOURCE_ANNOTATION];
  return source !== undefined && source !== 'api' && !isMirrorPod(pod);
}

export const initContainersOf = (pod: Pod): Container[] => pod.spec?.initContainers ?? [];
export const containersOf = (pod: Pod): Container[] => pod.spec?.containers ?? [];
// An ephemeral container has a container's fields without ports, probes, resources and hooks.
export const ephemeralContainersOf = (pod: Pod): Container[] =>
  (pod.spec?.ephemeralContainers ?? []) as Container[];

/** Every container of the pod: init, regular, ephemeral. */
export function allContainersOf(pod: Pod): Container[] {
  return [...initContainersOf(pod), ...containersOf(pod), ...ephemeralContainersOf(pod)];
}

export function isHostNetwork(pod: Pod): boolean {
  return pod.spec?.hostNetwork === true;
}

/** Seconds between the stop signal and the kill that the pod asks for. */
export function gracePeriodOf(pod: Pod): number {
  const { metadata, spec } = pod;
  return inexact(metadata.deletionGracePeriodSeconds ?? spec?.terminationGracePeriodSeconds ?? 30);
}

/** The object that events about a container refer to. */
export function containerFieldPath(pod: Pod, container: { name: string }): string {
  const among = (list: readonly Container[]): boolean =>
    list.some((c) => c.name === container.name);
  if (among(initContainersOf(pod))) return `spec.initContainers{${container.name}}`;
  if (among(ephemeralContainersOf(pod))) return `spec.ephemeralContainers{${container.name}}`;
  return `spec.containers{${container.name}}`;
}

/** Groups of every process in the pod besides its primary one. */
export function supplementalGroups(pod: Pod): number[] {
  const { supplementalGroups: groups = [], fsGroup } = pod.spec?.securityContext ?? {};
  return [...new Set([...groups, ...(fsGroup === undefined ? [] : [fsGroup])])];
}
