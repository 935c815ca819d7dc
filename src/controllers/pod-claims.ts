import type { Pod } from '../api/types.ts';

/** The claim names of a Pod, by entry: given ones, and made ones as its status tells; then the one for extended resources. */
export function claimNames(pod: Pod): (string | undefined)[] {
  const entries = (pod.spec?.resourceClaims ?? []).map(
    ({ name, resourceClaimName }) =>
      resourceClaimName ??
      pod.status?.resourceClaimStatuses?.find((status) => status.name === name)?.resourceClaimName,
  );
  return [...entries, pod.status?.extendedResourceClaimStatus?.resourceClaimName];
}
