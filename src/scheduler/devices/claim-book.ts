import { parseQuantity } from '../../api/quantity.ts';
import type { ObjectKey } from '../../api/resource-types.ts';
import type { ResourceClaim } from '../../api/types.ts';
import type { Informer } from '../../client/client.ts';
import type { Amounts } from './device-capacity.ts';
import { type DeviceResult, deviceId } from './device-parts.ts';
import type { DeviceUsage } from './device-search.ts';

export type ClaimInformer = Pick<
  Informer<ResourceClaim>,
  'get' | 'list' | 'addHandler' | 'revision'
>;

interface Ours {
  readonly claim: ResourceClaim;
  /** Not written yet. */
  readonly pending: boolean;
}

/**
 * Who has which devices: what the API server says of all claims, and over it what this scheduler has given out and
 * not yet seen again. One for all profiles.
 */
export class ClaimBook implements DeviceUsage {
  readonly #informer: ClaimInformer;
  readonly #ours = new Map<string, Ours>();
  readonly #held = new Map<string, readonly DeviceResult[]>();
  readonly #taken = new Map<string, number>();
  readonly #shared = new Map<string, { users: number; amounts: Map<string, bigint> }>();

  constructor(informer: ClaimInformer) {
    this.#informer = informer;
    informer.addHandler({
      onAdd: (claim) => this.#seen(claim),
      onUpdate: (before, claim) => {
        if (before.metadata.uid !== claim.metadata.uid) this.#gone(before);
        this.#seen(claim);
      },
      onDelete: (claim) => this.#gone(claim),
    });
  }

  /** The newest that is known of the claim; one whose allocation is not written yet is as it was. */
  get(key: ObjectKey): ResourceClaim | undefined {
    const seen = this.#informer.get(key);
    const ours = seen && this.#ours.get(seen.metadata.uid);
    return ours && !ours.pending ? ours.claim : seen;
  }

  /** The first such claim of the namespace. */
  find(namespace: string, isIt: (claim: ResourceClaim) => boolean): ResourceClaim | undefined {
    return this.#informer.list(namespace).find(isIt);
  }

  isPending(uid: string): boolean {
    return this.#ours.get(uid)?.pending ?? false;
  }

  /** Devices are chosen for the claim; from now on they are nobody else's. */
  reserve(claim: ResourceClaim): void {
    this.#ours.set(claim.metadata.uid, { claim, pending: true });
    this.#hold(claim);
  }

  /** The API server has taken the claim as it is here. */
  wrote(claim: ResourceClaim): void {
    const seen = this.#informer.get(claim.metadata);
    if (!seen && this.#informer.revision >= revision(claim)) {
      this.#gone(claim); // its events came before the answer: it has been deleted since then
      return;
    }
    if (seen && revision(seen) >= revision(claim)) {
      this.#ours.delete(claim.metadata.uid);
      this.#hold(seen);
      return;
    }
    this.#ours.set(claim.metadata.uid, { claim, pending: false });
    this.#hold(claim);
  }

  /** What was reserved and not written is free again. */
  release(claim: ResourceClaim): void {
    if (!this.isPending(claim.metadata.uid)) return;
    this.#ours.delete(claim.metadata.uid);
    const seen = this.#informer.get(claim.metadata);
    if (seen?.metadata.uid === claim.metadata.uid) this.#hold(seen);
    else this.#gone(claim);
  }

  isTaken(id: string): boolean {
    return this.#taken.has(id);
  }

  sharesOf(id: string): Amounts | undefined {
    return this.#shared.get(id)?.amounts;
  }

  #seen(claim: ResourceClaim): void {
    const ours = this.#ours.get(claim.metadata.uid);
    if (ours?.pending) return; // the binding under way will find out
    if (ours && revision(claim) < revision(ours.claim)) return;
    this.#ours.delete(claim.metadata.uid);
    this.#hold(claim);
  }

  #gone({ metadata }: ResourceClaim): void {
    this.#ours.delete(metadata.uid);
    this.#count(metadata.uid, []);
  }

  #hold({ metadata, status }: ResourceClaim): void {
    const results = status?.allocation?.devices?.results ?? [];
    this.#count(
      metadata.uid,
      results.filter(({ adminAccess }) => !adminAccess),
    );
  }

  #count(uid: string, results: readonly DeviceResult[]): void {
    for (const result of this.#held.get(uid) ?? []) this.#add(result, -1);
    for (const result of results) this.#add(result, 1);
    if (results.length > 0) this.#held.set(uid, results);
    else this.#held.delete(uid);
  }

  #add({ driver, pool, device, shareID, consumedCapacity }: DeviceResult, sign: 1 | -1): void {
    const id = deviceId(driver, pool, device);
    if (shareID === undefined) {
      const users = (this.#taken.get(id) ?? 0) + sign;
      if (users > 0) this.#taken.set(id, users);
      else this.#taken.delete(id);
      return;
    }
    const shared = this.#shared.get(id) ?? { users: 0, amounts: new Map<string, bigint>() };
    shared.users += sign;
    for (const [name, quantity] of Object.entries(consumedCapacity ?? {})) {
      const amount = BigInt(sign) * parseQuantity(quantity).nanos;
      shared.amounts.set(name, (shared.amounts.get(name) ?? 0n) + amount);
    }
    if (shared.users > 0) this.#shared.set(id, shared);
    else this.#shared.delete(id);
  }
}

/** Revisions of one kind are ordered numbers (KEP-5504). */
function revision({ metadata }: ResourceClaim): number {
  return Number(metadata.resourceVersion);
}
