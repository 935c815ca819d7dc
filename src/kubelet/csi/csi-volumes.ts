import { createHash } from 'node:crypto';
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { isNotFound } from '../../api/errors.ts';
import { CSI_DRIVERS, VOLUME_ATTACHMENTS } from '../../api/system-resource-types.ts';
import type { CSIDriver, PersistentVolume, Pod } from '../../api/types.ts';
import type { Client } from '../../client/client.ts';
import { errnoOf } from '../../util/errors.ts';
import { isRpcNotFound } from '../../util/grpc.ts';
import { Turns } from '../../util/turns.ts';
import { applyFsGroup } from '../volumes/ownership.ts';
import type { MountedVolume } from '../volumes/volume-error.ts';
import type { CsiDrivers } from './csi-drivers.ts';
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
  readonly stageSecret?: SecretRef | undefined;
  readonly publishSecret?: SecretRef | undefined;
}

export interface SecretRef {
  namespace: string;
  name: string;
}

export interface CsiVolumesDeps {
  client: Client;
  drivers: CsiDrivers;
  /** --root-dir. */
  rootDir: string;
  nodeName: string;
  /** The secret's texts; throws when there is none. */
  secret(ref: SecretRef): Promise<Record<string, string>>;
  token(pod: Pod, audience: string, expirationSeconds: number | undefined): Promise<string>;
}

/** What is written beside a published volume, by which it can be taken away after a restart. */
interface VolumeData {
  driverName: string;
  volumeHandle: string;
  volumeLifecycleMode: 'Persistent' | 'Ephemeral';
  staged: boolean;
}

const PLUGIN = 'kubernetes.io~csi';

/** Stages and publishes CSI volumes for pods and takes them away again. Safe to repeat at any point. */
export class CsiVolumes {
  readonly #deps: CsiVolumesDeps;
  // A driver must not be asked two things about one volume at once (CSI, "Concurrency").
  readonly #turns = new Turns();

  constructor(deps: CsiVolumesDeps) {
    this.#deps = deps;
  }

  setUp(pod: Pod, volume: CsiVolume): Promise<MountedVolume> {
    const turn = `${volume.driver}/${volume.handle}`;
    return this.#turns.run(turn, () => this.#publish(pod, volume));
  }

  async #publish(pod: Pod, volume: CsiVolume): Promise<MountedVolume> {
    const { drivers } = this.#deps;
    const spec = await this.#driverSpec(volume.driver);
    checkMode(volume, spec);
    const node = drivers.get(volume.driver);
    const capabilities = await node.capabilities();
    const publishContext = await this.#attachment(volume, spec);
    const gid = pod.spec?.securityContext?.fsGroup;
    const driverSetsGroup = gid !== undefined && capabilities.has('VOLUME_MOUNT_GROUP');
    const volumeCapability = capabilityOf(volume, {
      group: driverSetsGroup ? String(gid) : '',
      fineModes: capabilities.has('SINGLE_NODE_MULTI_WRITER'),
    });
    const volumeContext = {
      ...volume.attributes,
      ...(await this.#podContext(pod, volume, spec)),
    };
    const common = { volumeId: volume.handle, publishContext, volumeCapability };
    const staged = capabilities.has('STAGE_UNSTAGE_VOLUME') && !volume.inline;
    const stagingTargetPath = staged ? this.#stagingPath(volume.driver, volume.handle) : '';
    if (staged) {
      await mkdir(stagingTargetPath, { recursive: true, mode: 0o750 });
      await node.stage({
        ...common,
        stagingTargetPath,
        volumeContext: volume.attributes,
        secrets: await this.#secrets(volume.stageSecret),
      });
    }
    const directory = join(this.#podVolumes(pod.metadata.uid), volume.specName);
    const targetPath = join(directory, 'mount');
    // The driver makes the target itself; its parent must be there, and know how to end what begins now.
    await mkdir(directory, { recursive: true, mode: 0o750 });
    await saveData(directory, {
      driverName: volume.driver,
      volumeHandle: volume.handle,
      volumeLifecycleMode: volume.inline ? 'Ephemeral' : 'Persistent',
      staged,
    });
    await node.publish({
      ...common,
      stagingTargetPath,
      targetPath,
      volumeContext,
      readonly: volume.readOnly,
      secrets: await this.#secrets(volume.publishSecret),
    });
    if (gid !== undefined && !driverSetsGroup && groupApplies(volume, spec)) {
      await applyFsGroup(targetPath, pod);
    }
    return { hostPath: targetPath, readOnly: volume.readOnly };
  }

  /** Takes away every CSI volume of a pod. */
  async tearDown(podUid: string): Promise<void> {
    const parent = this.#podVolumes(podUid);
    for (const name of await namesIn(parent)) {
      const directory = join(parent, name);
      const data = await loadData(directory);
      if (!data) continue;
      const turn = `${data.driverName}/${data.volumeHandle}`;
      await this.#turns.run(turn, () => this.#unpublish(directory, data));
    }
  }

  async #unpublish(directory: string, data: VolumeData): Promise<void> {
    const node = this.#deps.drivers.get(data.driverName);
    await orGone(node.unpublish(data.volumeHandle, join(directory, 'mount')));
    await rm(join(directory, 'mount'), { recursive: true, force: true });
    await rm(join(directory, DATA_FILE), { force: true });
    await rm(directory, { recursive: true, force: true });
    if (!data.staged || (await this.#isUsed(data))) return;
    const staging = this.#stagingPath(data.driverName, data.volumeHandle);
    await orGone(node.unstage(data.volumeHandle, staging));
    await rm(dirname(staging), { recursive: true, force: true });
  }

  /** Whether another pod here has the volume. The directories know, also after a restart. */
  async #isUsed({ driverName, volumeHandle }: VolumeData): Promise<boolean> {
    for (const uid of await namesIn(join(this.#deps.rootDir, 'pods'))) {
      const parent = this.#podVolumes(uid);
      for (const name of await namesIn(parent)) {
        const data = await loadData(join(parent, name));
        if (data?.driverName === driverName && data.volumeHandle === volumeHandle) return true;
      }
    }
    return false;
  }

  #podVolumes(uid: string): string {
    return join(this.#deps.rootDir, 'pods', uid, 'volumes', PLUGIN);
  }

  #stagingPath(driver: string, handle: string): string {
    const parts = ['plugins', 'kubernetes.io', 'csi', driver, sha256(handle), 'globalmount'];
    return join(this.#deps.rootDir, ...parts);
  }

  async #driverSpec(name: string): Promise<CSIDriver['spec'] | undefined> {
    try {
      return (await this.#deps.client.get(CSI_DRIVERS, { namespace: '', name })).spec;
    } catch (err) {
      if (isNotFound(err)) return undefined;
      throw err;
    }
  }

  /** What the controller's part of the driver said when it attached the volume to this node. */
  async #attachment(
    volume: CsiVolume,
    spec: CSIDriver['spec'] | undefined,
  ): Promise<Record<string, string>> {
    if (volume.inline || spec?.attachRequired === false) return {};
    const { client, nodeName } = this.#deps;
    const name = `csi-${sha256(`${volume.handle}${volume.driver}${nodeName}`)}`;
    const found = await client.get(VOLUME_ATTACHMENTS, { namespace: '', name }).catch((err) => {
      if (isNotFound(err)) return undefined;
      throw err;
    });
    if (found?.status?.attached) return { ...found.status.attachmentMetadata };
    const why = found?.status?.attachError?.message;
    throw new Error(
      `volume attachment ${name} is not attached${why ? `: ${why}` : ''}; a driver without attach says so in its CSIDriver (attachRequired: false)`,
    );
  }

  async #podContext(
    pod: Pod,
    volume: CsiVolume,
    spec: CSIDriver['spec'] | undefined,
  ): Promise<Record<string, string>> {
    const { name, namespace, uid } = pod.metadata;
    const prefix = 'csi.storage.k8s.io';
    const context: Record<string, string> = {};
    if (spec?.podInfoOnMount) {
      context[`${prefix}/pod.name`] = name;
      context[`${prefix}/pod.namespace`] = namespace;
      context[`${prefix}/pod.uid`] = uid;
      context[`${prefix}/serviceAccount.name`] = pod.spec?.serviceAccountName ?? 'default';
      context[`${prefix}/ephemeral`] = String(volume.inline);
    }
    if (spec?.tokenRequests?.length) {
      const tokens: Record<string, { token: string }> = {};
      for (const { audience, expirationSeconds } of spec.tokenRequests) {
        const token = await this.#deps.token(pod, audience, expirationSeconds);
        tokens[audience] = { token };
      }
      context[`${prefix}/serviceAccount.tokens`] = JSON.stringify(tokens);
    }
    return context;
  }

  async #secrets(ref: SecretRef | undefined): Promise<Record<string, string>> {
    return ref ? this.#deps.secret(ref) : {};
  }
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
    stageSecret: secretRef(csi.nodeStageSecretRef),
    publishSecret: secretRef(csi.nodePublishSecretRef),
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
    publishSecret: secret ? { namespace: pod.metadata.namespace, name: secret } : undefined,
  };
}

function secretRef(
  ref: { name?: string | undefined; namespace?: string | undefined } | undefined,
): SecretRef | undefined {
  return ref?.name ? { name: ref.name, namespace: ref.namespace ?? '' } : undefined;
}

/** A driver takes inline volumes only when its CSIDriver says so. */
function checkMode({ inline, driver }: CsiVolume, spec: CSIDriver['spec'] | undefined): void {
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
  { fsType, mountOptions, accessModes }: CsiVolume,
  { group, fineModes }: { group: string; fineModes: boolean },
): VolumeCapability {
  const names = fineModes ? FINE_MODES : MODES;
  return {
    mount: { fsType, mountFlags: mountOptions, volumeMountGroup: group },
    accessMode: { mode: names[accessModes[0] ?? ''] ?? 'UNKNOWN' },
  };
}

/** Whether the pod's fsGroup is to own the files (CSIDriver.spec.fsGroupPolicy). */
function groupApplies(volume: CsiVolume, spec: CSIDriver['spec'] | undefined): boolean {
  const policy = spec?.fsGroupPolicy ?? 'ReadWriteOnceWithFSType';
  if (policy === 'None' || volume.readOnly) return false;
  if (policy === 'File') return true;
  return volume.fsType !== '' && volume.accessModes.includes('ReadWriteOnce');
}

const DATA_FILE = 'vol_data.json';

async function saveData(directory: string, data: VolumeData): Promise<void> {
  await writeFile(join(directory, DATA_FILE), JSON.stringify(data), { mode: 0o600 });
}

async function loadData(directory: string): Promise<VolumeData | undefined> {
  try {
    return JSON.parse(await readFile(join(directory, DATA_FILE), 'utf8')) as VolumeData;
  } catch (err) {
    if (errnoOf(err) === 'ENOENT' || errnoOf(err) === 'ENOTDIR') return undefined;
    throw err;
  }
}

async function namesIn(directory: string): Promise<string[]> {
  try {
    return await readdir(directory);
  } catch (err) {
    if (errnoOf(err) === 'ENOENT' || errnoOf(err) === 'ENOTDIR') return [];
    throw err;
  }
}

/** A volume that the driver no longer knows is as gone as can be. */
async function orGone(work: Promise<void>): Promise<void> {
  try {
    await work;
  } catch (err) {
    if (!isRpcNotFound(err)) throw err;
  }
}

const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');
