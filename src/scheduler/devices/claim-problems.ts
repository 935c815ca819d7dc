import type { ResourceClaim } from '../../api/types.ts';
import type { Change } from '../cluster-events.ts';
import type { PodInfo } from '../pod-info.ts';
import { FITS, type Status, unresolvable } from '../status.ts';
import type { ClaimBook } from './claim-book.ts';
import { DeviceError, MAX_CONSUMERS } from './device-parts.ts';
import { claimsOfPod, isReservedFor } from './pod-claims.ts';
import { isSpecial } from './special-claim.ts';

/** What is wrong with a claim keeps the Pod waiting: it becomes a status, being no failure of the scheduler's. */
export function unlessWrong<T>(act: () => T): T | Status {
  try {
    return act();
  } catch (err) {
    if (err instanceof DeviceError) return unresolvable(err.message);
    throw err;
  }
}

/** Why the claims of the Pod cannot be used, wherever it goes: one is missing, being deleted, or not its own. */
export function claimProblem(book: ClaimBook, { pod }: PodInfo): Status | undefined {
  if (!pod.spec?.resourceClaims?.length) return FITS;
  return unlessWrong(() => {
    claimsOfPod(book, pod);
    return FITS;
  });
}

/** Why another Pod keeps this one out of the claim: it is getting devices for it, or there are as many users as may be. */
export function claimInUse(
  book: ClaimBook,
  claim: ResourceClaim,
  podUid: string,
): Status | undefined {
  const { namespace, name, uid } = claim.metadata;
  if (book.isPending(uid)) {
    return unresolvable(`resource claim ${namespace}/${name} is in the process of being allocated`);
  }
  const full = (claim.status?.reservedFor?.length ?? 0) >= MAX_CONSUMERS;
  if (!claim.status?.allocation || !full || isReservedFor(claim, podUid)) return FITS;
  return unresolvable('resourceclaim in use');
}

/** Whether a change of a claim may help a Pod that waits: freed devices anybody, other changes only who uses the claim. */
export function claimHelps(book: ClaimBook, pod: PodInfo, change: Change): boolean {
  const before = change.before as ResourceClaim | undefined;
  const after = change.after as ResourceClaim | undefined;
  if (claimProblem(book, pod)) return false;
  if (before?.status?.allocation && !after?.status?.allocation) return true;
  if (before && !after && isSpecial(before, pod.pod)) return true;
  const uid = after?.metadata.uid;
  const mine = claimsOfPod(book, pod.pod).some((claim) => claim.metadata.uid === uid);
  if (!mine || !after) return false;
  return !before || JSON.stringify(before.status) !== JSON.stringify(after.status);
}
