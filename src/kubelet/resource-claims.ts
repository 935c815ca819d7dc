import type { Pod } from '../api/types.ts';

/** Why the devices of the pod's claims cannot be made ready: no DRA driver can register with this kubelet. */
export function claimProblem({ spec, status }: Pod): string | undefined {
  const entries = (spec?.resourceClaims ?? []).filter(({ name, resourceClaimName }) => {
    const told = status?.resourceClaimStatuses?.find((one) => one.name === name);
    // A template may turn out to need no claim: the status then names the entry without one.
    return resourceClaimName !== undefined || !told || told.resourceClaimName !== undefined;
  });
  const extended = status?.extendedResourceClaimStatus?.resourceClaimName;
  const names = [...entries.map(({ name }) => name), ...(extended ? [extended] : [])];
  if (names.length === 0) return undefined;
  return `Failed to prepare dynamic resources: prepare dynamic resources: DRA drivers are not supported by this kubelet (resource claims: ${names.join(', ')})`;
}
