import { isConflict, isNotFound } from '../../api/errors.ts';
import { RESOURCE_CLAIMS } from '../../api/system-resource-types.ts';
import type { ResourceClaim } from '../../api/types.ts';
import type { Client } from '../../client/client.ts';
import type { PodInfo } from '../pod-info.ts';
import { type Allocation, DeviceError } from './device-parts.ts';
import { isReservedFor } from './pod-claims.ts';

const PROTECTION = 'resource.kubernetes.io/delete-protection';
const STATUS = { subresource: 'status' };
const TRIES = 5;

/** Writes into the claim that the Pod uses it, and its allocation if that is new. Answers the claim as it is then. */
export async function bindClaim(
  client: Client,
  claim: ResourceClaim,
  allocation: Allocation | undefined,
  pod: PodInfo,
): Promise<ResourceClaim> {
  let current = claim;
  for (let tries = 1; ; tries++) {
    try {
      return await reserve(client, current, allocation, pod);
    } catch (err) {
      if (!isConflict(err) || tries === TRIES) throw err;
      // Harmless changes are common: another Pod shares it, a driver tells how its devices are.
      current = await client.get(RESOURCE_CLAIMS, claim.metadata);
      if (current.metadata.uid !== claim.metadata.uid) throw gone(claim, 'deleted');
    }
  }
}

async function reserve(
  client: Client,
  claim: ResourceClaim,
  allocation: Allocation | undefined,
  { pod, uid }: PodInfo,
): Promise<ResourceClaim> {
  if (claim.metadata.deletionTimestamp !== undefined) throw gone(claim, 'deleted');
  if (allocation && claim.status?.allocation) throw gone(claim, 'allocated elsewhere');
  // It may have lost its devices since it was looked at: a reservation alone would be refused all the same.
  if (!allocation && !claim.status?.allocation) throw gone(claim, 'deallocated');
  if (isReservedFor(claim, uid)) return claim;
  const kept = allocation ? await protect(client, claim) : claim;
  const consumer = { resource: 'pods', name: pod.metadata.name, uid };
  const status = {
    ...kept.status,
    ...(allocation ? { allocation } : {}),
    reservedFor: [...(kept.status?.reservedFor ?? []), consumer],
  };
  return client.update(RESOURCE_CLAIMS, { ...kept, status }, STATUS);
}

/** A claim that holds devices must not vanish before they are given back. */
async function protect(client: Client, claim: ResourceClaim): Promise<ResourceClaim> {
  const { finalizers = [] } = claim.metadata;
  if (finalizers.includes(PROTECTION)) return claim;
  const metadata = { ...claim.metadata, finalizers: [...finalizers, PROTECTION] };
  return client.update(RESOURCE_CLAIMS, { ...claim, metadata });
}

/** The Pod is not bound after all: others may have its place in the claim. */
export async function unreserveClaim(
  client: Client,
  { metadata }: ResourceClaim,
  podUid: string,
): Promise<void> {
  const { namespace, name, uid } = metadata;
  const body = { metadata: { uid }, status: { reservedFor: [{ $patch: 'delete', uid: podUid }] } };
  await client.patch(RESOURCE_CLAIMS, { namespace, name }, { type: 'strategic', body }, STATUS);
}

/** Takes a claim away that was made for a Pod alone, with all that it holds. */
export async function deleteClaim(client: Client, claim: ResourceClaim): Promise<void> {
  try {
    await unprotect(client, claim);
    const preconditions = { uid: claim.metadata.uid };
    await client.delete(RESOURCE_CLAIMS, claim.metadata, { preconditions });
  } catch (err) {
    if (!isNotFound(err)) throw err;
  }
}

async function unprotect(client: Client, claim: ResourceClaim): Promise<void> {
  let current = claim;
  for (let tries = 1; ; tries++) {
    try {
      const finalizers = current.metadata.finalizers?.filter((one) => one !== PROTECTION) ?? [];
      const metadata = { ...current.metadata, finalizers };
      await client.update(RESOURCE_CLAIMS, { ...current, metadata });
      return;
    } catch (err) {
      if (!isConflict(err) || tries === TRIES) throw err;
      current = await client.get(RESOURCE_CLAIMS, claim.metadata);
    }
  }
}

/** Gives the devices of the claim back. */
export async function deallocateClaim(
  client: Client,
  claim: ResourceClaim,
): Promise<ResourceClaim> {
  const { allocation: _, reservedFor: __, devices: ___, ...status } = claim.status ?? {};
  return client.update(RESOURCE_CLAIMS, { ...claim, status }, STATUS);
}

function gone({ metadata }: ResourceClaim, how: string): DeviceError {
  return new DeviceError(`claim ${metadata.namespace}/${metadata.name} got ${how} in the meantime`);
}
