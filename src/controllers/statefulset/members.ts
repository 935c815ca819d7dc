import type {
  Draft,
  PersistentVolumeClaim,
  Pod,
  PodTemplateSpec,
  StatefulSet,
} from '../../api/types.ts';
import { controllerReference } from '../controller-reference.ts';
import { podOf } from '../pod-control.ts';

export const REVISION_LABEL = 'controller-revision-hash';
const POD_NAME_LABEL = 'statefulset.kubernetes.io/pod-name';
const POD_INDEX_LABEL = 'apps.kubernetes.io/pod-index';

export function startOrdinal(set: StatefulSet): number {
  return set.spec?.ordinals?.start ?? 0;
}

export function memberName(set: StatefulSet, ordinal: number): string {
  return `${set.metadata.name}-${ordinal}`;
}

/** The ordinal of a Pod of this set; undefined for a name that the set would not give. */
export function ordinalOf(set: StatefulSet, pod: Pod): number | undefined {
  const prefix = `${set.metadata.name}-`;
  const { name } = pod.metadata;
  const rest = name.startsWith(prefix) ? name.slice(prefix.length) : '';
  return /^(0|[1-9]\d*)$/.test(rest) ? Number(rest) : undefined;
}

/** The Pod of one ordinal: its own name, host name and volumes. Pure. */
export function memberPod(
  set: StatefulSet,
  ordinal: number,
  from: { template: PodTemplateSpec; revision: string },
): Draft<Pod> {
  const pod = podOf(set, from.template);
  const name = memberName(set, ordinal);
  const { generateName: _, ...metadata } = pod.metadata;
  pod.metadata = {
    ...metadata,
    name,
    labels: {
      ...metadata.labels,
      [POD_NAME_LABEL]: name,
      [POD_INDEX_LABEL]: String(ordinal),
      [REVISION_LABEL]: from.revision,
    },
  };
  const spec = pod.spec ?? { containers: [] };
  const claims = (set.spec?.volumeClaimTemplates ?? []).map((template) => {
    const volume = template.metadata?.name ?? '';
    return { name: volume, persistentVolumeClaim: { claimName: claimName(set, volume, ordinal) } };
  });
  const claimed = new Set(claims.map((volume) => volume.name));
  const volumes = [...claims, ...(spec.volumes ?? []).filter((v) => !claimed.has(v.name))];
  pod.spec = {
    ...spec,
    hostname: name,
    ...(set.spec?.serviceName ? { subdomain: set.spec.serviceName } : {}),
    ...(volumes.length > 0 ? { volumes } : {}),
  };
  return pod;
}

export function claimName(set: StatefulSet, volume: string, ordinal: number): string {
  return `${volume}-${memberName(set, ordinal)}`;
}

/** The volume claims of one ordinal. Pure. */
export function memberClaims(set: StatefulSet, ordinal: number): Draft<PersistentVolumeClaim>[] {
  const {
    volumeClaimTemplates = [],
    selector,
    persistentVolumeClaimRetentionPolicy,
  } = set.spec ?? {};
  const { metadata } = set;
  const deletedWithSet = persistentVolumeClaimRetentionPolicy?.whenDeleted === 'Delete';
  const owner = controllerReference({ ...set, apiVersion: 'apps/v1', kind: 'StatefulSet' });
  return volumeClaimTemplates.map((template) => ({
    apiVersion: 'v1',
    kind: 'PersistentVolumeClaim',
    metadata: {
      ...(template.metadata?.annotations ? { annotations: template.metadata.annotations } : {}),
      name: claimName(set, template.metadata?.name ?? '', ordinal),
      namespace: metadata.namespace,
      labels: { ...template.metadata?.labels, ...selector?.matchLabels },
      ...(deletedWithSet ? { ownerReferences: [owner] } : {}),
    },
    spec: structuredClone(template.spec ?? {}),
  }));
}
