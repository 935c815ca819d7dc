import { compareQuantities, parseQuantity, wholeValue } from '../../api/quantity.ts';
import { PERSISTENT_VOLUME_CLAIMS, PERSISTENT_VOLUMES } from '../../api/resource-types.ts';
import type { PersistentVolume, PersistentVolumeClaim, Pod } from '../../api/types.ts';
import type { Client, EventRecorder } from '../../client/client.ts';
import type { Clock } from '../../util/clock.ts';
import { errorMessage } from '../../util/errors.ts';
import type { Logger } from '../../util/log.ts';
import { persistentCsiVolume } from '../csi/csi-volume.ts';
import type { CsiVolumes } from '../csi/csi-volumes.ts';
import type { VolumeManager } from './volume-manager.ts';
import { claimName } from './volume-usage.ts';

export interface VolumeExpansionDeps {
  client: Client;
  recorder: EventRecorder;
  clock: Clock;
  log: Logger;
  volumes: VolumeManager;
  csi: CsiVolumes;
  pods(): readonly Pod[];
}

const PERIOD_MS = 10_000;

/**
 * The node's part of making a claim larger: the volume has grown, and now what is in it grows while pods use it.
 * https://kubernetes.io/docs/concepts/storage/persistent-volumes/#expanding-persistent-volumes-claims
 */
export class VolumeExpansion {
  readonly #deps: VolumeExpansionDeps;

  constructor(deps: VolumeExpansionDeps) {
    this.#deps = deps;
  }

  /** Works until aborted. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await this.look();
      await this.#deps.clock.sleep(PERIOD_MS, signal).catch(() => {});
    }
  }

  /** One look at every claim that is mounted here. */
  async look(): Promise<void> {
    const { pods, volumes, log } = this.#deps;
    for (const pod of pods()) {
      for (const { name, hostPath } of volumes.mountedFromOutside(pod.metadata.uid)) {
        const claim = claimName(pod, name);
        if (claim === undefined) continue;
        try {
          await this.#consider(pod, claim, hostPath);
        } catch (err) {
          log.warn({ claim, err: errorMessage(err) }, 'Cannot see whether a volume has grown');
        }
      }
    }
  }

  async #consider(pod: Pod, name: string, hostPath: string): Promise<void> {
    const { client } = this.#deps;
    const { namespace } = pod.metadata;
    const claim = await client.get(PERSISTENT_VOLUME_CLAIMS, { namespace, name });
    if (!awaitsNode(claim)) return;
    const pvKey = { namespace: '', name: claim.spec?.volumeName ?? '' };
    const pv = await client.get(PERSISTENT_VOLUMES, pvKey);
    const size = pv.spec?.capacity?.storage;
    if (size === undefined || !isLarger(size, claim.status?.capacity?.storage)) return;
    const volume = persistentCsiVolume(pv, false);
    if (volume) await this.#expand(pod, { claim, pv, size, hostPath });
  }

  async #expand(
    pod: Pod,
    what: { claim: PersistentVolumeClaim; pv: PersistentVolume; size: string; hostPath: string },
  ): Promise<void> {
    const { csi, recorder } = this.#deps;
    const { claim, pv, size, hostPath } = what;
    const volume = persistentCsiVolume(pv, false);
    if (!volume) return;
    const { name } = pv.metadata;
    try {
      if (!(await csi.expand(volume, hostPath, wholeValue(parseQuantity(size))))) return;
      await this.#tell(claim, size);
      const message = `MountVolume.NodeExpandVolume succeeded for volume "${name}"`;
      recorder.event(pod, 'Normal', 'FileSystemResizeSuccessful', message);
    } catch (err) {
      const message = `NodeExpandVolume.NodeExpandVolume failed for volume "${name}" : ${errorMessage(err)}`;
      recorder.event(pod, 'Warning', 'VolumeResizeFailed', message);
    }
  }

  /** The claim is as large as its volume now, and waits for nobody any more. */
  async #tell(claim: PersistentVolumeClaim, storage: string): Promise<void> {
    const { allocatedResourceStatuses: _done, ...before } = claim.status ?? {};
    const conditions = (before.conditions ?? []).filter(({ type }) => !RESIZING.has(type));
    const status = { ...before, capacity: { ...before.capacity, storage }, conditions };
    await this.#deps.client.update(
      PERSISTENT_VOLUME_CLAIMS,
      { ...claim, status },
      { subresource: 'status' },
    );
  }
}

const RESIZING = new Set(['Resizing', 'FileSystemResizePending', 'NodeResizeError']);

/** The controller's part is done, or is thought to be: the node has to look. */
export function awaitsNode({ spec, status }: PersistentVolumeClaim): boolean {
  if (status?.conditions?.some(({ type }) => type === 'FileSystemResizePending')) return true;
  return isLarger(spec?.resources?.requests?.storage, status?.capacity?.storage);
}

function isLarger(a: string | undefined, b: string | undefined): boolean {
  if (a === undefined || b === undefined) return false;
  return compareQuantities(parseQuantity(a), parseQuantity(b)) > 0;
}
