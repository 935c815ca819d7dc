import { lstat, mkdir, rm, rmdir, unlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { isNotFound } from '../../api/errors.ts';
import { CSI_DRIVERS, VOLUME_ATTACHMENTS } from '../../api/system-resource-types.ts';
import type { CSIDriver, Pod } from '../../api/types.ts';
import type { Client } from '../../client/client.ts';
import { isMountPoint, type Mounts } from '../../host/mounts.ts';
import { errnoOf, errorMessage } from '../../util/errors.ts';
import { isRpcNotFound } from '../../util/grpc.ts';
import { Turns } from '../../util/turns.ts';
import { namesIn } from '../directory.ts';
import { applyFsGroup } from '../volumes/ownership.ts';
import type { MountedVolume } from '../volumes/volume-error.ts';
import type { CsiDrivers } from './csi-drivers.ts';
import type { VolumeUsage } from './csi-node-client.ts';
import {
  type CsiVolume,
  capabilityOf,
  checkMode,
  groupApplies,
  type SecretRef,
  sha256,
} from './csi-volume.ts';
import { DATA_FILE, loadData, saveData, type VolumeData } from './volume-data.ts';

export interface CsiVolumesDeps {
  client: Client;
  drivers: CsiDrivers;
  mounts: Mounts;
  /** --root-dir. */
  rootDir: string;
  nodeName: string;
  /** Tells the API which volumes are in use here; resolves when it knows. */
  tellInUse(): Promise<void>;
  /** The secret's texts; throws when there is none. */
  secret(ref: SecretRef): Promise<Record<string, string>>;
  token(pod: Pod, audience: string, expirationSeconds: number | undefined): Promise<string>;
}

const PLUGIN = 'kubernetes.io~csi';

/** Stages and publishes CSI volumes for pods and takes them away again. Safe to repeat at any point. */
export class CsiVolumes {
  readonly #deps: CsiVolumesDeps;
  // A driver must not be asked two things about one volume at once (CSI, "Concurrency").
  readonly #turns = new Turns();
  // By directory: what the attach/detach controller calls the volume.
  readonly #inUse = new Map<string, string>();

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
    const attached = !volume.inline && spec?.attachRequired !== false;
    const publishContext = attached ? await this.#attachment(volume) : {};
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
    const directory = join(this.#podVolumes(pod.metadata.uid), volume.specName);
    const targetPath = join(directory, 'mount');
    // The driver makes the target itself; its parent must be there, and know how to end what begins now.
    await mkdir(directory, { recursive: true, mode: 0o750 });
    await saveData(directory, {
      driverName: volume.driver,
      volumeHandle: volume.handle,
      volumeLifecycleMode: volume.inline ? 'Ephemeral' : 'Persistent',
      staged,
      announced: spec !== undefined,
      attached,
    });
    if (attached && !this.#inUse.has(directory)) {
      // Before it is touched: from then on it must not be detached.
      await this.#tellInUse(directory, uniqueName(volume.driver, volume.handle));
    }
    if (staged) {
      await mkdir(stagingTargetPath, { recursive: true, mode: 0o750 });
      await node.stage({
        ...common,
        stagingTargetPath,
        volumeContext: volume.attributes,
        secrets: await this.#secrets(volume.stageSecret),
      });
    }
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
    return { hostPath: targetPath, readOnly: volume.readOnly, isDevice: volume.block };
  }

  /** Makes a published volume's file system as large as the volume has become; false when its driver does not do that. */
  async expand(volume: CsiVolume, hostPath: string, requiredBytes: number): Promise<boolean> {
    const node = this.#deps.drivers.get(volume.driver);
    const capabilities = await node.capabilities();
    if (!capabilities.has('EXPAND_VOLUME')) return false;
    const staged = capabilities.has('STAGE_UNSTAGE_VOLUME');
    const fineModes = capabilities.has('SINGLE_NODE_MULTI_WRITER');
    const request = {
      volumeId: volume.handle,
      volumePath: hostPath,
      stagingTargetPath: staged ? this.#stagingPath(volume.driver, volume.handle) : '',
      volumeCapability: capabilityOf(volume, { group: '', fineModes }),
      capacityRange: { requiredBytes },
      secrets: await this.#secrets(volume.expandSecret),
    };
    const turn = `${volume.driver}/${volume.handle}`;
    await this.#turns.run(turn, () => node.expand(request));
    return true;
  }

  /** How full a published volume is, from its driver; undefined when that does not tell. */
  async stats(hostPath: string): Promise<readonly VolumeUsage[] | undefined> {
    const data = await loadData(dirname(hostPath));
    if (!data || !this.#deps.drivers.has(data.driverName)) return undefined;
    const node = this.#deps.drivers.get(data.driverName);
    if (!(await node.capabilities()).has('GET_VOLUME_STATS')) return undefined;
    return node.stats(data.volumeHandle, hostPath);
  }

  /** Takes away every CSI volume of a pod; one that cannot go now keeps no other one. */
  async tearDown(podUid: string): Promise<void> {
    const parent = this.#podVolumes(podUid);
    const names = await namesIn(parent);
    const ended = await Promise.allSettled(names.map((name) => this.#tearDownOne(parent, name)));
    const failed = ended.find((e) => e.status === 'rejected');
    if (failed) throw failed.reason;
  }

  async #tellInUse(directory: string, name: string): Promise<void> {
    this.#inUse.set(directory, name);
    try {
      await this.#deps.tellInUse();
    } catch (err) {
      this.#inUse.delete(directory);
      throw err;
    }
  }

  /** What node.status.volumesInUse shows. */
  volumesInUse(): string[] {
    return [...new Set(this.#inUse.values())].sort();
  }

  /** Finds what an earlier kubelet has left in use; comes before the node is told of. */
  async open(): Promise<void> {
    for (const uid of await namesIn(join(this.#deps.rootDir, 'pods'))) {
      const parent = this.#podVolumes(uid);
      for (const name of await namesIn(parent)) {
        const directory = join(parent, name);
        const data = await loadData(directory);
        if (!data?.attached) continue;
        this.#inUse.set(directory, uniqueName(data.driverName, data.volumeHandle));
      }
    }
  }

  /** Whether the path belongs to a volume that only its driver may take away. */
  owns(podUid: string, path: string): boolean {
    return path.startsWith(`${this.#podVolumes(podUid)}/`);
  }

  async #tearDownOne(parent: string, name: string): Promise<void> {
    const directory = join(parent, name);
    const data = await loadData(directory);
    if (!data) return;
    const turn = `${data.driverName}/${data.volumeHandle}`;
    try {
      await this.#turns.run(turn, () => this.#unpublish(directory, data));
    } catch (err) {
      const message = `UnmountVolume.TearDown failed for volume "${name}" : ${errorMessage(err)}`;
      throw new Error(message, { cause: err });
    }
  }

  /** What is known of the volume goes last: a kubelet that ends in between finds it and goes on. */
  async #unpublish(directory: string, data: VolumeData): Promise<void> {
    const { volumeHandle, driverName } = data;
    const uninstalled = await this.#isUninstalled(data);
    const target = join(directory, 'mount');
    if (!uninstalled) {
      await orGone(this.#deps.drivers.get(driverName).unpublish(volumeHandle, target));
    }
    await this.#clear(target, uninstalled);
    if (data.staged && !(await this.#isUsed(data, directory))) {
      const staging = this.#stagingPath(driverName, volumeHandle);
      if (!uninstalled) {
        await orGone(this.#deps.drivers.get(driverName).unstage(volumeHandle, staging));
      }
      await this.#clear(staging, uninstalled);
      await rm(dirname(staging), { recursive: true, force: true });
    }
    await rm(join(directory, DATA_FILE), { force: true });
    await rmdir(directory);
    this.#inUse.delete(directory);
  }

  /**
   * A driver that is gone from the node and from the API will not come back to take its volumes away. One that never
   * was in the API may only be between two of its processes.
   */
  async #isUninstalled({ driverName, announced }: VolumeData): Promise<boolean> {
    if (!announced || this.#deps.drivers.has(driverName)) return false;
    return (await this.#driverSpec(driverName)) === undefined;
  }

  /** Takes the place of a mount away, never what is mounted on it. */
  async #clear(path: string, unmounts: boolean): Promise<void> {
    const { mounts } = this.#deps;
    if (unmounts && (await isMountPoint(mounts, path))) await mounts.unmount(path);
    if (await isMountPoint(mounts, path)) throw new Error(`${path} is still mounted`);
    await removePlace(path);
  }

  /** Whether another pod here has the volume. The directories know, also after a restart. */
  async #isUsed({ driverName, volumeHandle }: VolumeData, own: string): Promise<boolean> {
    for (const uid of await namesIn(join(this.#deps.rootDir, 'pods'))) {
      const parent = this.#podVolumes(uid);
      for (const name of await namesIn(parent)) {
        const directory = join(parent, name);
        if (directory === own) continue;
        const data = await loadData(directory);
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
  async #attachment(volume: CsiVolume): Promise<Record<string, string>> {
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

/** What the attach/detach controller calls a volume. */
const uniqueName = (driver: string, handle: string): string =>
  `kubernetes.io/csi/${driver}^${handle}`;

/** An empty directory, or the file on which a device was mounted. */
async function removePlace(path: string): Promise<void> {
  try {
    if ((await lstat(path)).isDirectory()) await rmdir(path);
    else await unlink(path);
  } catch (err) {
    if (errnoOf(err) !== 'ENOENT') throw err;
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
