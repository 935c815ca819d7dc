import { PODS } from '../../api/resource-types.ts';
import { RESOURCE_CLAIMS } from '../../api/system-resource-types.ts';
import type { ResourceClaim } from '../../api/types.ts';
import type { Client } from '../../client/client.ts';
import type { Clock } from '../../util/clock.ts';
import { errorMessage } from '../../util/errors.ts';
import type { PodInfo } from '../pod-info.ts';
import { FITS, failed, type Status, unschedulable } from '../status.ts';
import { bindingState } from './binding-conditions.ts';
import type { ClaimState, Offer } from './claim-state.ts';
import { bindClaim, deallocateClaim, deleteClaim } from './claim-writer.ts';
import type { DeviceView } from './device-view.ts';
import { isReservedFor } from './pod-claims.ts';
import type { SpecialClaim } from './special-claim.ts';

export interface BindingDeps {
  readonly client: Client;
  readonly devices: DeviceView;
  readonly clock: Clock;
}

const LOOK_MS = 200;

/** An allocated claim that keeps the Pod from every node, and that nobody else uses, is allocated anew. */
export async function makeRoom(
  { client, devices }: BindingDeps,
  found: ClaimState | undefined,
  { pod, uid }: PodInfo,
): Promise<{ status: Status }> {
  const stale = found?.special?.written;
  if (!pod.spec?.resourceClaims?.length && !stale) return { status: unschedulable() };
  if (!found) return { status: unschedulable('no new claims to deallocate') };
  if (stale) {
    return attempt('deletion of ResourceClaim completed', () => deleteClaim(client, stale));
  }
  for (const claim of found.inTheWay) {
    if ((claim.status?.reservedFor ?? []).some((consumer) => consumer.uid !== uid)) continue;
    return attempt('deallocation of ResourceClaim completed', async () =>
      devices.book.wrote(await deallocateClaim(client, claim)),
    );
  }
  return { status: unschedulable('still not schedulable') };
}

async function attempt(done: string, act: () => Promise<void>): Promise<{ status: Status }> {
  try {
    await act();
  } catch (err) {
    return { status: failed(errorMessage(err), err) };
  }
  return { status: unschedulable(done) };
}

/** Writes what `reserve` has promised. */
export async function bindClaims(
  deps: BindingDeps,
  found: ClaimState,
  pod: PodInfo,
  nodeName: string,
): Promise<void> {
  const { client, devices } = deps;
  const offer = found.offers.get(nodeName);
  for (const [i, claim] of found.claims.entries()) {
    if (isReservedFor(claim, pod.uid)) continue;
    const wanted = found.wanted.findIndex((one) => one.claim === claim);
    const written = await bindClaim(client, claim, offer?.allocations[wanted], pod);
    devices.book.wrote(written);
    found.claims[i] = written;
  }
  if (offer?.special && found.special) await bindSpecial(deps, found.special, offer, pod);
}

/** Makes the claim for extended resources, and tells the kubelet by the Pod's status which container has what of it. */
async function bindSpecial(
  { client, devices }: BindingDeps,
  special: SpecialClaim,
  { allocations, special: want }: Offer,
  pod: PodInfo,
): Promise<void> {
  if (!want) return;
  const { claim } = want.wanted;
  const {
    name: _,
    uid: __,
    resourceVersion: ___,
    creationTimestamp: ____,
    ...kept
  } = claim.metadata;
  const made = await client.create(RESOURCE_CLAIMS, { ...claim, metadata: kept });
  special.written = made;
  const written = await bindClaim(client, made, allocations.at(-1), pod);
  special.written = written;
  devices.book.wrote(written);
  devices.book.release(claim);
  const status = {
    extendedResourceClaimStatus: {
      resourceClaimName: written.metadata.name,
      requestMappings: want.mappings,
    },
  };
  const body = { metadata: { uid: pod.uid }, status };
  const patch = { type: 'strategic', body } as const;
  await client.patch(PODS, pod.pod.metadata, patch, { subresource: 'status' });
}

/** Drivers tell in the claims' status when devices with conditions are ready. */
export async function untilReady(
  { client, clock, devices }: BindingDeps,
  claims: readonly ResourceClaim[],
  { bindingTimeoutMs, signal }: { bindingTimeoutMs: number; signal: AbortSignal },
): Promise<Status | undefined> {
  const deadline = clock.now() + bindingTimeoutMs;
  for (;;) {
    const now = claims.map((claim) => devices.book.get(claim.metadata) ?? claim);
    const { waiting, failure } = bindingState(now);
    if (!waiting && failure === undefined) return FITS;
    const late = clock.now() >= deadline;
    if (failure === undefined && !late) {
      await clock.sleep(LOOK_MS, signal);
      continue;
    }
    // Other devices may do better.
    for (const claim of now) {
      if (bindingState([claim]).waiting || bindingState([claim]).failure !== undefined) {
        devices.book.wrote(await deallocateClaim(client, claim));
      }
    }
    return unschedulable(failure ?? 'device binding timeout');
  }
}
