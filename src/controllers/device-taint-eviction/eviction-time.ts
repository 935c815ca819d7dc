import type { Pod, ResourceClaim, ResourceSlice } from '../../api/types.ts';
import { inexact } from '../../util/exact-json.ts';

type Allocation = NonNullable<NonNullable<ResourceClaim['status']>['allocation']>;
export type DeviceResult = NonNullable<NonNullable<Allocation['devices']>['results']>[number];
export type DeviceTaint = NonNullable<
  NonNullable<ResourceSlice['spec']['devices']>[number]['taints']
>[number];
type Toleration = NonNullable<DeviceResult['tolerations']>[number];

/**
 * When whoever uses this device has to go, milliseconds since the epoch: when the first NoExecute taint came that the
 * claim does not tolerate, or tolerates only for a time, at the end of that. Undefined: it may stay (KEP-5055). Pure.
 */
export function evictionTime(
  { tolerations = [] }: DeviceResult,
  taints: readonly DeviceTaint[],
): number | undefined {
  const times = taints
    .filter(({ effect }) => effect === 'NoExecute')
    .map((taint) => {
      const seconds = tolerations
        .filter((toleration) => tolerates(toleration, taint))
        .map(({ tolerationSeconds }) =>
          Math.max(0, inexact(tolerationSeconds ?? Number.POSITIVE_INFINITY)),
        );
      const forEver = seconds.includes(Number.POSITIVE_INFINITY);
      const allowed = seconds.length === 0 ? 0 : forEver ? undefined : Math.min(...seconds) * 1000;
      return allowed === undefined ? undefined : addedAt(taint) + allowed;
    })
    .filter((time) => time !== undefined);
  return times.length === 0 ? undefined : Math.min(...times);
}

/** The taints of an allocated device, as the newest description of its pool tells them. Pure. */
export function taintsOf(
  { device }: DeviceResult,
  slicesOfPool: readonly ResourceSlice[],
): readonly DeviceTaint[] {
  const newest = Math.max(...slicesOfPool.map(({ spec }) => inexact(spec.pool.generation)));
  return slicesOfPool
    .filter(({ spec }) => inexact(spec.pool.generation) === newest)
    .flatMap(({ spec }) => spec.devices ?? [])
    .filter(({ name }) => name === device)
    .flatMap(({ taints }) => taints ?? []);
}

/** A claim speaks for a Pod that it is reserved for. */
export function isReservedFor({ status }: ResourceClaim, pod: Pod): boolean {
  return (status?.reservedFor ?? []).some(({ uid }) => uid === pod.metadata.uid);
}

function tolerates({ key, operator, value, effect }: Toleration, taint: DeviceTaint): boolean {
  if (effect && effect !== 'NoExecute') return false;
  if (key && key !== taint.key) return false;
  return operator === 'Exists' || (value ?? '') === (taint.value ?? '');
}

/** The server says when a taint came; one without a time has always been there. */
function addedAt({ timeAdded }: DeviceTaint): number {
  return timeAdded === undefined ? 0 : Date.parse(timeAdded);
}
