import type { Pod, ResourceClaim } from '../../api/types.ts';
import type { ClaimBook } from './claim-book.ts';
import { DeviceError } from './device-parts.ts';

/** The claims of a Pod in the order of its spec. Throws DeviceError when one is not there, or not to be used. */
export function claimsOfPod(book: Pick<ClaimBook, 'get'>, pod: Pod): ResourceClaim[] {
  const out: ResourceClaim[] = [];
  for (const entry of pod.spec?.resourceClaims ?? []) {
    const claim = entry.resourceClaimName
      ? existing(book, pod, entry.resourceClaimName)
      : generated(book, pod, entry.name);
    if (claim) out.push(claim);
  }
  return out;
}

/** A template may turn out to need no claim: the status then names the entry without one. */
function generated(
  book: Pick<ClaimBook, 'get'>,
  pod: Pod,
  entry: string,
): ResourceClaim | undefined {
  const { namespace, name, uid } = pod.metadata;
  const status = pod.status?.resourceClaimStatuses?.find((one) => one.name === entry);
  if (!status) throw new DeviceError(`pod "${namespace}/${name}": ResourceClaim not created yet`);
  if (!status.resourceClaimName) return undefined;
  const claim = existing(book, pod, status.resourceClaimName);
  const owner = claim.metadata.ownerReferences?.find(({ controller }) => controller);
  if (owner?.uid === uid) return claim;
  const which = `ResourceClaim ${namespace}/${claim.metadata.name}`;
  throw new DeviceError(`${which} was not created for pod ${namespace}/${name} (pod is not owner)`);
}

function existing(book: Pick<ClaimBook, 'get'>, pod: Pod, name: string): ResourceClaim {
  const claim = book.get({ namespace: pod.metadata.namespace, name });
  if (!claim) throw new DeviceError(`resourceclaim.resource.k8s.io "${name}" not found`);
  if (claim.metadata.deletionTimestamp !== undefined) {
    throw new DeviceError(`resourceclaim "${name}" is being deleted`);
  }
  return claim;
}

export function isReservedFor({ status }: ResourceClaim, podUid: string): boolean {
  return (status?.reservedFor ?? []).some(({ uid }) => uid === podUid);
}
