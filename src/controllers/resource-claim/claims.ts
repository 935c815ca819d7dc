import { isPodTerminal } from '../../api/pods.ts';
import type { Pod, ResourceClaim } from '../../api/types.ts';

export const POD_CLAIM = 'resource.kubernetes.io/pod-claim-name';
export const PROTECTION = 'resource.kubernetes.io/delete-protection';

export type PodClaim = NonNullable<NonNullable<Pod['spec']>['resourceClaims']>[number];
type Consumer = NonNullable<NonNullable<ResourceClaim['status']>['reservedFor']>[number];

/** The claim that was made for one entry of a Pod. */
export function isMadeFor(claim: ResourceClaim, pod: Pod, name: string): boolean {
  const owned = claim.metadata.ownerReferences?.some(
    ({ uid, controller }) => controller && uid === pod.metadata.uid,
  );
  return Boolean(owned) && claim.metadata.annotations?.[POD_CLAIM] === name;
}

/** A Pod will use its claims no more: it has ended, or goes without ever having had a node. */
export function isDone(pod: Pod): boolean {
  return isPodTerminal(pod) || (Boolean(pod.metadata.deletionTimestamp) && !pod.spec?.nodeName);
}

/** Those who still use a claim, as far as they are Pods. Pure. */
export function stillReserved(
  reservedFor: readonly Consumer[],
  podOf: (consumer: Consumer) => Pod | undefined,
): Consumer[] {
  return reservedFor.filter((consumer) => {
    if (consumer.apiGroup || consumer.resource !== 'pods') return true;
    const pod = podOf(consumer);
    return pod !== undefined && pod.metadata.uid === consumer.uid && !isDone(pod);
  });
}
