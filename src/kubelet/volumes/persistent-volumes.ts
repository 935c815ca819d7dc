import type { Stats } from 'node:fs';
import { mkdir, stat } from 'node:fs/promises';
import { isIPv6 } from 'node:net';
import { join } from 'node:path';
import { isNotFound } from '../../api/errors.ts';
import { matchesNodeSelector } from '../../api/node-affinity.ts';
import { PERSISTENT_VOLUME_CLAIMS, PERSISTENT_VOLUMES } from '../../api/resource-types.ts';
import type {
  Node,
  PersistentVolume,
  PersistentVolumeClaim,
  Pod,
  Volume,
} from '../../api/types.ts';
import type { Client } from '../../client/client.ts';
import { isMountPoint, type Mounts } from '../../host/mounts.ts';
import { errnoOf, errorMessage } from '../../util/errors.ts';
import { persistentCsiVolume } from '../csi/csi-volume.ts';
import type { CsiVolumes } from '../csi/csi-volumes.ts';
import { allContainersOf } from '../names.ts';
import { checkHostPath } from './host-path.ts';
import { applyFsGroup } from './ownership.ts';
import { type MountedVolume, setUpFailed, VolumeError } from './volume-error.ts';

export interface PersistentVolumesDeps {
  client: Client;
  mounts: Mounts;
  csi: CsiVolumes;
  /** --root-dir. */
  rootDir: string;
  node(): Node | undefined;
}

/** The volumes that pods get through claims: local, hostPath, nfs and csi. */
export class PersistentVolumes {
  readonly #deps: PersistentVolumesDeps;

  constructor(deps: PersistentVolumesDeps) {
    this.#deps = deps;
  }

  /** The volume behind the pod's claim, mounted; undefined when the pod's volume is no claim. */
  async setUp(pod: Pod, volume: Volume): Promise<MountedVolume | undefined> {
    const named = claimOf(pod, volume);
    if (!named) return undefined;
    const pv = await this.#bound(pod, volume, named.claimName);
    const { name } = pv.metadata;
    const affinity = pv.spec?.nodeAffinity?.required;
    const node = this.#deps.node();
    if (affinity && node && !matchesNodeSelector(affinity, node)) {
      const why = 'no matching NodeSelectorTerms';
      throw new VolumeError(
        volume.name,
        `MountVolume.NodeAffinity check failed for volume "${name}" : ${why}`,
      );
    }
    try {
      const isDevice = pv.spec?.volumeMode === 'Block';
      checkUse(pod, volume.name, isDevice);
      if (isDevice) return await this.#device(pod, pv, named.readOnly);
      return await this.#mount(pod, pv, named.readOnly);
    } catch (err) {
      throw setUpFailed(volume.name, err, name);
    }
  }

  async #bound(pod: Pod, volume: Volume, claimName: string): Promise<PersistentVolume> {
    const { namespace } = pod.metadata;
    try {
      const claim = await this.#claim(namespace, claimName);
      checkClaim(pod, volume, claim);
      const name = claim.spec?.volumeName ?? '';
      const pv = await this.#deps.client.get(PERSISTENT_VOLUMES, { namespace: '', name });
      if (pv.spec?.claimRef?.uid !== claim.metadata.uid) {
        throw new Error(`PV ${name} is not bound to this claim`);
      }
      return pv;
    } catch (err) {
      const why = `error processing PVC ${namespace}/${claimName}: ${errorMessage(err)}`;
      throw new VolumeError(
        volume.name,
        `Unable to attach or mount volumes: unmounted volumes=[${volume.name}], unattached volumes=[], failed to process volumes=[${volume.name}]: ${why}`,
      );
    }
  }

  async #claim(namespace: string, name: string): Promise<PersistentVolumeClaim> {
    try {
      return await this.#deps.client.get(PERSISTENT_VOLUME_CLAIMS, { namespace, name });
    } catch (err) {
      if (!isNotFound(err)) throw err;
      throw new Error(
        `failed to fetch PVC from API server: persistentvolumeclaim "${name}" not found`,
      );
    }
  }

  async #mount(pod: Pod, pv: PersistentVolume, readOnly: boolean): Promise<MountedVolume> {
    const { hostPath, local, nfs } = pv.spec ?? {};
    if (hostPath) {
      await checkHostPath(hostPath);
      return { hostPath: hostPath.path, readOnly };
    }
    if (local) {
      if (!(await isDirectory(local.path))) throw new Error(`path "${local.path}" does not exist`);
      if (!readOnly) await applyFsGroup(local.path, pod);
      return { hostPath: local.path, readOnly };
    }
    if (nfs) return this.#nfs(pod, pv, readOnly || nfs.readOnly === true);
    const volume = persistentCsiVolume(pv, readOnly);
    if (volume) return this.#deps.csi.setUp(pod, volume);
    const kinds = Object.keys(pv.spec ?? {}).join(', ');
    throw new Error(`no volume plugin matched (the volume has ${kinds})`);
  }

  async #device(pod: Pod, pv: PersistentVolume, readOnly: boolean): Promise<MountedVolume> {
    const { local } = pv.spec ?? {};
    if (local) {
      if (!(await isBlockDevice(local.path))) {
        throw new Error(`path "${local.path}" is not a block device`);
      }
      return { hostPath: local.path, readOnly, isDevice: true };
    }
    const volume = persistentCsiVolume(pv, readOnly);
    if (volume) return this.#deps.csi.setUp(pod, volume);
    throw new Error('only local and CSI volumes can have volumeMode Block');
  }

  async #nfs(pod: Pod, pv: PersistentVolume, readOnly: boolean): Promise<MountedVolume> {
    const source = pv.spec?.nfs;
    if (!source) throw new Error('not an NFS volume');
    const { name } = pv.metadata;
    const options = [...(pv.spec?.mountOptions ?? []), ...(readOnly ? ['ro'] : [])];
    return mountNfs(this.#deps, pod, { name, source, options, readOnly });
  }
}

/** Mounts an export into the pod's directory. */
export async function mountNfs(
  { mounts, rootDir }: { mounts: Mounts; rootDir: string },
  pod: Pod,
  volume: {
    name: string;
    source: { server: string; path: string };
    options: readonly string[];
    readOnly: boolean;
  },
): Promise<MountedVolume> {
  const { name, source, options, readOnly } = volume;
  const target = join(rootDir, 'pods', pod.metadata.uid, 'volumes', 'kubernetes.io~nfs', name);
  await mkdir(target, { recursive: true, mode: 0o750 });
  if (!(await isMountPoint(mounts, target))) {
    // Else its colons would be taken for the one before the path.
    const server = isIPv6(source.server) ? `[${source.server}]` : source.server;
    const share = `${server}:${source.path}`;
    await mounts.mount({ source: share, target, fsType: 'nfs', options });
  }
  return { hostPath: target, readOnly };
}

/** The claim that a volume of the pod names: a claim of its own, or the one made for an ephemeral volume. */
function claimOf(pod: Pod, volume: Volume): { claimName: string; readOnly: boolean } | undefined {
  const { persistentVolumeClaim: claim, ephemeral } = volume;
  if (claim) return { claimName: claim.claimName, readOnly: claim.readOnly === true };
  if (ephemeral) return { claimName: `${pod.metadata.name}-${volume.name}`, readOnly: false };
  return undefined;
}

function checkClaim(pod: Pod, volume: Volume, claim: PersistentVolumeClaim): void {
  const { namespace, name, deletionTimestamp, ownerReferences = [] } = claim.metadata;
  if (volume.ephemeral && !ownerReferences.some((o) => o.uid === pod.metadata.uid)) {
    throw new Error(
      `PVC ${namespace}/${name} was not created for pod ${pod.metadata.namespace}/${pod.metadata.name} (pod is not owner)`,
    );
  }
  if (deletionTimestamp !== undefined) {
    throw new Error(`can't start pod because PVC ${name} is being deleted`);
  }
  if (claim.status?.phase !== 'Bound' || !claim.spec?.volumeName)
    throw new Error('PVC is not bound');
}

/** A volume is mounted or is a device, as its volumeMode says; a container that asks for the other cannot have it. */
function checkUse(pod: Pod, volume: string, isDevice: boolean): void {
  const wrong = allContainersOf(pod).some(({ volumeMounts = [], volumeDevices = [] }) =>
    (isDevice ? volumeMounts : volumeDevices).some(({ name }) => name === volume),
  );
  if (!wrong) return;
  const [mode, field] = isDevice ? ['Block', 'volumeMounts'] : ['Filesystem', 'volumeDevices'];
  throw new Error(`volume ${volume} has volumeMode ${mode}, but is specified in ${field}`);
}

const isBlockDevice = (path: string): Promise<boolean> => statIs(path, (s) => s.isBlockDevice());
const isDirectory = (path: string): Promise<boolean> => statIs(path, (s) => s.isDirectory());

async function statIs(path: string, test: (stats: Stats) => boolean): Promise<boolean> {
  try {
    return test(await stat(path));
  } catch (err) {
    if (errnoOf(err) === 'ENOENT') return false;
    throw err;
  }
}
