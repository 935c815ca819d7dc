import type { ObjectKey } from '../../api/resource-types.ts';
import type { PersistentVolume, PersistentVolumeClaim } from '../../api/types.ts';
import { DONE, type Reconciler, type Result } from '../../client/controller.ts';
import { unlessGone } from '../unless-gone.ts';
import { type Binding, BOUND_BY_CONTROLLER } from './binding.ts';

const PROVISIONED_BY = 'pv.kubernetes.io/provisioned-by';

export interface VolumeDeps {
  readonly binding: Binding;
  volume(name: string): PersistentVolume | undefined;
  claim(key: ObjectKey): PersistentVolumeClaim | undefined;
  /** Asks the server: a claim that the cache does not know may be new. */
  freshClaim(key: ObjectKey): Promise<PersistentVolumeClaim | undefined>;
  enqueueClaim(key: ObjectKey): void;
}

/** Keeps the phase of each volume, and says what becomes of it when its claim is gone (upstream's syncVolume). */
export class VolumeReconciler implements Reconciler {
  readonly name = 'persistentvolume-binder-controller-volumes';
  readonly #deps: VolumeDeps;

  constructor(deps: VolumeDeps) {
    this.#deps = deps;
  }

  async reconcile({ name }: ObjectKey): Promise<Result> {
    const volume = this.#deps.volume(name);
    if (volume) await unlessGone(this.#sync(volume));
    return DONE;
  }

  async #sync(volume: PersistentVolume): Promise<void> {
    const { binding } = this.#deps;
    const { claimRef } = volume.spec ?? {};
    if (!claimRef?.uid) {
      await binding.volumePhase(volume, 'Available');
      return;
    }
    const key = { namespace: claimRef.namespace ?? '', name: claimRef.name ?? '' };
    const claim = await this.#claimOf(volume, key, claimRef.uid);
    if (!claim) return this.#release(volume);
    if (claim.spec?.volumeName === volume.metadata.name) {
      await binding.volumePhase(volume, 'Bound');
    } else if (!claim.spec?.volumeName) this.#deps.enqueueClaim(key);
    else if (isDisposable(volume)) await this.#release(volume);
    else await binding.release(volume);
  }

  async #claimOf(
    volume: PersistentVolume,
    key: ObjectKey,
    uid: string,
  ): Promise<PersistentVolumeClaim | undefined> {
    const known = this.#deps.claim(key);
    if (known?.metadata.uid === uid) return known;
    const over = volume.status?.phase === 'Released' || volume.status?.phase === 'Failed';
    const fresh = over ? undefined : await this.#deps.freshClaim(key);
    return fresh?.metadata.uid === uid ? fresh : undefined;
  }

  /** The claim is gone. Whoever made the volume takes it away, if it was made to be. */
  async #release(volume: PersistentVolume): Promise<void> {
    const { binding } = this.#deps;
    const { phase } = volume.status ?? {};
    const over = phase === 'Released' || phase === 'Failed';
    const released = over ? volume : await binding.volumePhase(volume, 'Released');
    const policy = released.spec?.persistentVolumeReclaimPolicy;
    const provisioned = released.metadata.annotations?.[PROVISIONED_BY] !== undefined;
    if (policy === 'Recycle') {
      await this.#fail(released, 'VolumeFailedRecycle', 'No recycler plugin found for the volume!');
    }
    if (policy !== 'Delete' || provisioned || released.spec?.csi) return;
    const { name } = released.metadata;
    const message = `error getting deleter volume plugin for volume "${name}": no deletable volume plugin matched`;
    await this.#fail(released, 'VolumeFailedDelete', message);
  }

  async #fail(volume: PersistentVolume, reason: string, message: string): Promise<void> {
    await this.#deps.binding.volumePhase(volume, 'Failed', { type: 'Warning', reason, message });
  }
}

/** Made for one claim, to go with it. */
function isDisposable({ metadata, spec }: PersistentVolume): boolean {
  return (
    metadata.annotations?.[PROVISIONED_BY] !== undefined &&
    metadata.annotations?.[BOUND_BY_CONTROLLER] === undefined &&
    spec?.persistentVolumeReclaimPolicy === 'Delete'
  );
}
