import { PERSISTENT_VOLUME_CLAIMS, PERSISTENT_VOLUMES } from '../../api/resource-types.ts';
import type { PersistentVolume, PersistentVolumeClaim } from '../../api/types.ts';
import type { Client, EventRecorder } from '../../client/client.ts';
import { jsonEqual } from '../../util/json.ts';
import type { Overlay } from '../overlay.ts';
import { isFor } from './matching.ts';

export const BIND_COMPLETED = 'pv.kubernetes.io/bind-completed';
export const BOUND_BY_CONTROLLER = 'pv.kubernetes.io/bound-by-controller';

type VolumePhase = 'Available' | 'Bound' | 'Released' | 'Failed';
type ClaimPhase = 'Pending' | 'Bound' | 'Lost';

/** What is told together with a change of phase. */
export interface Notice {
  readonly type: 'Normal' | 'Warning';
  readonly reason: string;
  readonly message: string;
}

interface Deps {
  readonly client: Client;
  readonly events: EventRecorder;
  readonly volumes: Overlay<PersistentVolume>;
  readonly claims: Overlay<PersistentVolumeClaim>;
}

/** The writes of the binder. Each is left out where it would change nothing. */
export class Binding {
  readonly #deps: Deps;

  constructor(deps: Deps) {
    this.#deps = deps;
  }

  /** Ties both together, the volume first: from then on nobody else can take it. Safe to repeat from any half-way state. */
  async bind(volume: PersistentVolume, claim: PersistentVolumeClaim): Promise<void> {
    const tied = await this.#tieVolume(volume, claim);
    await this.volumePhase(tied, 'Bound');
    const owning = await this.#tieClaim(tied, claim);
    await this.claimPhase(owning, 'Bound', { volume: tied });
  }

  async volumePhase(
    volume: PersistentVolume,
    phase: VolumePhase,
    notice?: Notice,
  ): Promise<PersistentVolume> {
    if (volume.status?.phase === phase) return volume;
    const status = {
      ...volume.status,
      phase,
      message: phase === 'Failed' ? notice?.message : undefined,
    };
    const written = await this.#writeVolume({ ...volume, status }, 'status');
    if (notice) this.tell(written, notice);
    return written;
  }

  async claimPhase(
    claim: PersistentVolumeClaim,
    phase: ClaimPhase,
    about: { volume?: PersistentVolume; notice?: Notice } = {},
  ): Promise<PersistentVolumeClaim> {
    const { volume, notice } = about;
    const { accessModes: _modes, capacity: _capacity, ...rest } = claim.status ?? {};
    const accessModes = volume?.spec?.accessModes;
    const known = claim.status?.phase === 'Bound' ? claim.status.capacity : undefined;
    // Once bound, the size of a claim is changed by whoever resizes it.
    const capacity = known ?? volume?.spec?.capacity;
    const attributes = volume?.spec?.volumeAttributesClassName;
    const status = {
      ...rest,
      phase,
      ...(volume && accessModes ? { accessModes } : {}),
      ...(volume && capacity ? { capacity } : {}),
      ...(attributes ? { currentVolumeAttributesClassName: attributes } : {}),
    };
    if (jsonEqual(claim.status, status)) return claim;
    const written = await this.#writeClaim({ ...claim, status }, 'status');
    if (notice) this.tell(written, notice);
    return written;
  }

  /** Lets a volume go from a claim that took another. What a user wrote into claimRef stays. */
  async release(volume: PersistentVolume): Promise<void> {
    const { [BOUND_BY_CONTROLLER]: byUs, ...annotations } = volume.metadata.annotations ?? {};
    const { claimRef, ...spec } = volume.spec ?? {};
    const { uid: _uid, resourceVersion: _revision, ...wished } = claimRef ?? {};
    const freed = await this.#writeVolume({
      ...volume,
      metadata: { ...volume.metadata, annotations },
      spec: byUs ? spec : { ...spec, claimRef: wished },
    });
    await this.volumePhase(freed, 'Available');
  }

  async annotateClaim(
    claim: PersistentVolumeClaim,
    added: Record<string, string>,
  ): Promise<PersistentVolumeClaim> {
    const known = claim.metadata.annotations ?? {};
    if (Object.entries(added).every(([name, value]) => known[name] === value)) return claim;
    const annotations = { ...known, ...added };
    return this.#writeClaim({ ...claim, metadata: { ...claim.metadata, annotations } });
  }

  async assignClass(claim: PersistentVolumeClaim, name: string): Promise<PersistentVolumeClaim> {
    return this.#writeClaim({ ...claim, spec: { ...claim.spec, storageClassName: name } });
  }

  tell(about: PersistentVolume | PersistentVolumeClaim, notice: Notice): void {
    this.#deps.events.event(about, notice.type, notice.reason, notice.message);
  }

  async #tieVolume(
    volume: PersistentVolume,
    claim: PersistentVolumeClaim,
  ): Promise<PersistentVolume> {
    const { namespace, name, uid, resourceVersion } = claim.metadata;
    if (isFor(volume, claim) && volume.spec?.claimRef?.uid === uid) return volume;
    const kept = volume.spec?.claimRef !== undefined;
    const claimRef = {
      ...{ apiVersion: 'v1', kind: 'PersistentVolumeClaim' },
      ...{ namespace, name, uid, resourceVersion },
    };
    const annotations = {
      ...volume.metadata.annotations,
      ...(kept ? {} : { [BOUND_BY_CONTROLLER]: 'yes' }),
    };
    return this.#writeVolume({
      ...volume,
      metadata: { ...volume.metadata, annotations },
      spec: { ...volume.spec, claimRef },
    });
  }

  async #tieClaim(
    volume: PersistentVolume,
    claim: PersistentVolumeClaim,
  ): Promise<PersistentVolumeClaim> {
    const chosen = claim.spec?.volumeName === volume.metadata.name;
    const annotations = {
      ...claim.metadata.annotations,
      ...(chosen ? {} : { [BOUND_BY_CONTROLLER]: 'yes' }),
      [BIND_COMPLETED]: 'yes',
    };
    if (chosen && claim.metadata.annotations?.[BIND_COMPLETED] !== undefined) return claim;
    return this.#writeClaim({
      ...claim,
      metadata: { ...claim.metadata, annotations },
      spec: { ...claim.spec, volumeName: volume.metadata.name },
    });
  }

  async #writeVolume(volume: PersistentVolume, subresource?: 'status'): Promise<PersistentVolume> {
    const how = subresource ? { subresource } : {};
    const written = await this.#deps.client.update(PERSISTENT_VOLUMES, volume, how);
    this.#deps.volumes.wrote(written);
    return written;
  }

  async #writeClaim(
    claim: PersistentVolumeClaim,
    subresource?: 'status',
  ): Promise<PersistentVolumeClaim> {
    const how = subresource ? { subresource } : {};
    const written = await this.#deps.client.update(PERSISTENT_VOLUME_CLAIMS, claim, how);
    this.#deps.claims.wrote(written);
    return written;
  }
}
