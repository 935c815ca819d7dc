import type { DeviceClass, ResourceClaim, ResourceSlice } from '../../api/types.ts';

export type Device = NonNullable<ResourceSlice['spec']['devices']>[number];
export type DeviceAttribute = NonNullable<Device['attributes']>[string];
export type DeviceTaint = NonNullable<Device['taints']>[number];
export type CounterUse = NonNullable<Device['consumesCounters']>[number];
export type RequestPolicy = NonNullable<NonNullable<Device['capacity']>[string]['requestPolicy']>;

type Devices = NonNullable<ResourceClaim['spec']['devices']>;
export type ClaimRequest = NonNullable<Devices['requests']>[number];
export type ExactRequest = NonNullable<ClaimRequest['exactly']>;
export type DeviceConstraint = NonNullable<Devices['constraints']>[number];
export type DeviceToleration = NonNullable<ExactRequest['tolerations']>[number];
export type DeviceSelector = NonNullable<DeviceClass['spec']['selectors']>[number];

export type Allocation = NonNullable<NonNullable<ResourceClaim['status']>['allocation']>;
type DeviceAllocation = NonNullable<Allocation['devices']>;
export type DeviceResult = NonNullable<DeviceAllocation['results']>[number];
export type DeviceConfig = NonNullable<DeviceAllocation['config']>[number];

/** More a claim may not hold (resource.k8s.io AllocationResultsMaxSize). */
export const MAX_RESULTS = 32;
/** More may not share a claim (ResourceClaimReservedForMaxSize). */
export const MAX_CONSUMERS = 256;

export function deviceId(driver: string, pool: string, device: string): string {
  return `${driver}/${pool}/${device}`;
}

/** Claims that cannot be allocated as they are, or devices that are not described as they should be. */
export class DeviceError extends Error {
  override readonly name = 'DeviceError';
}
