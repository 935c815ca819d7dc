import type { ResourceClaim } from '../../api/types.ts';
import { deviceId } from './device-parts.ts';

/** Whether the devices of the claims are ready for a Pod to be bound (KEP-5007): which are not yet, and what went wrong. */
export function bindingState(claims: readonly ResourceClaim[]): {
  waiting: boolean;
  failure: string | undefined;
} {
  let waiting = false;
  for (const { metadata, status } of claims) {
    for (const result of status?.allocation?.devices?.results ?? []) {
      const { bindingConditions = [], bindingFailureConditions = [] } = result;
      if (bindingConditions.length === 0) continue;
      const { driver, pool, device } = result;
      const told = status?.devices?.find(
        (one) => one.driver === driver && one.pool === pool && one.device === device,
      );
      const isTrue = (type: string) =>
        (told?.conditions ?? []).some((one) => one.type === type && one.status === 'True');
      const failed = bindingFailureConditions.find(isTrue);
      if (failed !== undefined) {
        const which = `claim ${metadata.name}, device ${deviceId(driver, pool, device)}`;
        return { waiting: false, failure: `${which}: binding failed: ${failed}` };
      }
      if (!bindingConditions.every(isTrue)) waiting = true;
    }
  }
  return { waiting, failure: undefined };
}
