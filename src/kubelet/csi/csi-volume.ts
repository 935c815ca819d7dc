import { createHash } from 'node:crypto';
import type { CSIDriver, PersistentVolume, Pod } from '../../api/types.ts';
import type { AccessMode, VolumeCapability } from './csi-node-client.ts';

/** One use of a CSI volume by a pod, persistent or inline. */
export interface CsiVolume {
  /** Directory name below the pod's: the PersistentVolume's name, or the volume's for an inline one. */
  readonly specName: string;
  readonly driver: string;
  readonly handle: string;
  readonly attributes: Readonly<Record<string, string>>;
  readonly fsType: string;
  readonly mountOptions: readonly string[];
  readonly accessModes: readonly string[];
  readonly readOnly: boolean;
  readonly inline: boolean;
  /** Given to containers as a block device, not as files. */
  readonly block: boolean;
  readonly stageSecret?: SecretRef | undefined;
  readonly publishSecret?: SecretRef | undefined;
  readonly expandSecret?: SecretRef | undefined;
}

export interface SecretRef {
  namespace: string;
  name: string;
}

/** The volume of a PersistentVolume with a CSI source; undefined for other sources. */
export function persistentCsiVolume(
  pv: PersistentVolume,
  readOnly: boolean,
): CsiVolume | undefined {
  const { csi, accessModes = [], mountOptions = [] } = pv.spec ?? {};
  if (!csi) return undefined;
  return {
    specName: pv.metadata.name,
    driver: csi.driver,
    handle: csi.volumeHandle,
    attributes: csi.volumeAttributes ?? {},
    fsType: csi.fsType ?? '',
    mountOptions,
    accessModes,
    readOnly: readOnly || csi.readOnly === true,
    inline: false,
    block: pv.spec?.volumeMode === 'Block',
    stageSecret: secretRef(csi.nodeStageSecretRef),
    publishSecret: secretRef(csi.nodePublishSecretRef),
    expandSecret: secretRef(csi.nodeExpandSecretRef),
  };
}

/** The volume of a pod's own `csi` source. */
export function inlineCsiVolume(
  pod: Pod,
  name: string,
  csi: NonNullable<NonNullable<NonNullable<Pod['spec']>['volumes']>[number]['csi']>,
): CsiVolume {
  const secret = csi.nodePublishSecretRef?.name;
  return {
    specName: name,
    driver: csi.driver,
    handle: `csi-${sha256(`${pod.metadata.uid}${name}`)}`,
    attributes: csi.volumeAttributes ?? {},
    fsType: csi.fsType ?? '',
    mountOptions: [],
    accessModes: ['ReadWriteOnce'],
    readOnly: csi.readOnly === true,
    inline: true,
    block: false,
    publishSecret: secret ? { namespace: pod.metadata.namespace, name: secret } : undefined,
  };
}

function secretRef(
  ref: { name?: string | undefined; namespace?: string | undefined } | undefined,
): SecretRef | undefined {
  return ref?.name ? { name: ref.name, namespace: ref.namespace ?? '' } : undefined;
}

/** A driver takes inline volumes only when its CSIDriver says so. */
export function checkMode(
  { inline, driver }: CsiVolume,
  spec: CSIDriver['spec'] | undefined,
): void {
  const modes = spec?.volumeLifecycleModes ?? ['Persistent'];
  const wanted = inline ? 'Ephemeral' : 'Persistent';
  if (modes.includes(wanted)) return;
  throw new Error(
    `volume mode ${JSON.stringify(wanted)} not supported by driver ${driver} (only supports ${JSON.stringify(modes)})`,
  );
}

const MODES: Record<string, AccessMode> = {
  ReadWriteOnce: 'SINGLE_NODE_WRITER',
  ReadOnlyMany: 'MULTI_NODE_READER_ONLY',
  ReadWriteMany: 'MULTI_NODE_MULTI_WRITER',
  ReadWriteOncePod: 'SINGLE_NODE_WRITER',
};

const FINE_MODES: Record<string, AccessMode> = {
  ...MODES,
  ReadWriteOnce: 'SINGLE_NODE_MULTI_WRITER',
  ReadWriteOncePod: 'SINGLE_NODE_SINGLE_WRITER',
};

export function capabilityOf(
  { fsType, mountOptions, accessModes, block }: CsiVolume,
  { group, fineModes }: { group: string; fineModes: boolean },
): VolumeCapability {
  const names = fineModes ? FINE_MODES : MODES;
  const accessMode = { mode: names[accessModes[0] ?? ''] ?? 'UNKNOWN' };
  if (block) return { block: {}, accessMode };
  return {
    mount: { fsType, mountFlags: mountOptions, volumeMountGroup: group },
    accessMode,
  };
}

/** Whether the pod's fsGroup is to own the files (CSIDriver.spec.fsGroupPolicy). */
export function groupApplies(volume: CsiVolume, spec: CSIDriver['spec'] | undefined): boolean {
  const policy = spec?.fsGroupPolicy ?? 'ReadWriteOnceWithFSType';
  if (policy === 'None' || volume.readOnly || volume.block) return false;
  if (policy === 'File') return true;
  return volume.fsType !== '' && volume.accessModes.includes('ReadWriteOnce');
}

export const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');
