import type { Container, Pod, ResourceClaim } from '../../api/types.ts';
import { containersOf, initContainersOf } from '../names.ts';
import type { PreparedDevice } from './dra-driver.ts';

/** A claim that a pod uses, by its name in the API. */
export interface PodClaim {
  readonly claimName: string;
  /** How the pod calls it; absent for the one that the scheduler made for extended resources. */
  readonly entry?: string;
}

/** Claims that containers of the pod use. Throws when one of them is not made yet. Pure. */
export function podClaims(pod: Pod): PodClaim[] {
  const { spec, status } = pod;
  const used = new Set(
    [...initContainersOf(pod), ...containersOf(pod)].flatMap(
      ({ resources }) => resources?.claims?.map(({ name }) => name) ?? [],
    ),
  );
  const claims = (spec?.resourceClaims ?? []).flatMap(({ name, resourceClaimName }): PodClaim[] => {
    if (!used.has(name)) return [];
    if (resourceClaimName !== undefined) return [{ claimName: resourceClaimName, entry: name }];
    const told = status?.resourceClaimStatuses?.find((one) => one.name === name);
    if (!told) throw new Error(`pod claim ${name}: the resource claim has not been created yet`);
    // A template may turn out to need no claim: the status then names the entry without one.
    return told.resourceClaimName === undefined
      ? []
      : [{ claimName: told.resourceClaimName, entry: name }];
  });
  const extended = status?.extendedResourceClaimStatus?.resourceClaimName;
  return extended === undefined ? claims : [...claims, { claimName: extended }];
}

/** Throws when the pod may not use the claim. Pure. */
export function checkClaim(pod: Pod, claim: ResourceClaim): void {
  const { name, uid } = pod.metadata;
  const what = `ResourceClaim ${claim.metadata.name}`;
  if (!claim.status?.allocation) throw new Error(`${what} is not allocated`);
  if (claim.status.reservedFor?.some((one) => one.resource === 'pods' && one.uid === uid)) return;
  throw new Error(`pod ${name} (${uid}) is not allowed to use ${what} (${claim.metadata.uid})`);
}

/** The drivers of the devices that the claim got. Pure. */
export function driversOf({ status }: ResourceClaim): string[] {
  return [...new Set((status?.allocation?.devices?.results ?? []).map(({ driver }) => driver))];
}

/** Names of devices that the container is to have, of those that were made ready for claims. Pure. */
export function containerCdi(
  pod: Pod,
  container: Container,
  devicesOf: (claimName: string) => readonly PreparedDevice[],
): string[] {
  const own = container.resources?.claims ?? [];
  const mappings = pod.status?.extendedResourceClaimStatus?.requestMappings ?? [];
  const found = podClaims(pod).flatMap(({ claimName, entry }) => {
    const requests =
      entry === undefined
        ? mappings.filter((m) => m.containerName === container.name).map((m) => m.requestName)
        : own.filter(({ name }) => name === entry).map(({ request }) => request ?? '');
    return devicesOf(claimName).filter(({ requestNames }) =>
      requests.some((request) => request === '' || isFor(requestNames, request)),
    );
  });
  return [...new Set(found.flatMap(({ cdiDeviceIds }) => cdiDeviceIds))];
}

/** A device may have been allocated for one of several alternatives: `REQUEST/ALTERNATIVE`. */
function isFor(requestNames: readonly string[], request: string): boolean {
  return (
    requestNames.length === 0 ||
    requestNames.some((name) => name === request || name.startsWith(`${request}/`))
  );
}
