import type { ResourceClaim } from '../../api/types.ts';
import type { Client } from '../../client/client.ts';
import type { Clock } from '../../util/clock.ts';
import { errorMessage } from '../../util/errors.ts';
import type { PodInfo } from '../pod-info.ts';
import { FITS, failed, type Status, unschedulable } from '../status.ts';
import { bindingState } from './binding-conditions.ts';
import type { ClaimState } from './claim-state.ts';
import { bindClaim, deallocateClaim } from './claim-writer.ts';
import type { DeviceView } from './device-view.ts';
import { isReservedFor } from './pod-claims.ts';

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
  if (!pod.spec?.resourceClaims?.length) return { status: unschedulable() };
  if (!found) return { status: unschedulable('no new claims to deallocate') };
  for (const claim of found.inTheWay) {
    if ((claim.status?.reservedFor ?? []).some((consumer) => consumer.uid !== uid)) continue;
    try {
      devices.book.wrote(await deallocateClaim(client, claim));
    } catch (err) {
      return { status: failed(errorMessage(err), err) };
    }
    return { status: unschedulable('deallocation of ResourceClaim completed') };
  }
  return { status: unschedulable('still not schedulable') };
}

/** Writes what `reserve` has promised. */
export async function bindClaims(
  { client, devices }: BindingDeps,
  found: ClaimState,
  pod: PodInfo,
  nodeName: string,
): Promise<void> {
  const offer = found.offers.get(nodeName) ?? [];
  for (const [i, claim] of found.claims.entries()) {
    if (isReservedFor(claim, pod.uid)) continue;
    const wanted = found.wanted.findIndex((one) => one.claim === claim);
    const written = await bindClaim(client, claim, offer[wanted], pod);
    devices.book.wrote(written);
    found.claims[i] = written;
  }
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
