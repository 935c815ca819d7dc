import { timeString } from '../../../api/times.ts';
import type { ResourceSlice } from '../../../api/types.ts';

type Device = NonNullable<ResourceSlice['spec']['devices']>[number];
type Taint = NonNullable<Device['taints']>[number];

/**
 * Says when taints of devices came, where their driver does not (resource/v1 SetDefaults_DeviceTaint). One that was there
 * before keeps its time: whoever tolerates it for a while does not begin anew.
 */
export function stampTaints(slice: ResourceSlice, now: number, old?: ResourceSlice): void {
  const before = new Map((old?.spec.devices ?? []).map(({ name, taints = [] }) => [name, taints]));
  for (const { name, taints = [] } of slice.spec?.devices ?? []) {
    for (const taint of taints) {
      taint.timeAdded ??= before.get(name)?.find(isSame(taint))?.timeAdded ?? timeString(now);
    }
  }
}

function isSame({ key, value, effect }: Taint): (other: Taint) => boolean {
  return (other) => other.key === key && other.value === value && other.effect === effect;
}
