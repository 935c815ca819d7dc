import { timeString } from '../../api/times.ts';
import type { HorizontalPodAutoscaler } from '../../api/types.ts';

export type Condition = NonNullable<
  NonNullable<HorizontalPodAutoscaler['status']>['conditions']
>[number];

/** The conditions of one look, from those of the last. */
export class Conditions {
  readonly #now: number;
  readonly #list: Condition[];

  constructor(before: readonly Condition[], now: number) {
    this.#now = now;
    this.#list = [...before];
  }

  get list(): Condition[] {
    return this.#list;
  }

  set(
    type: 'AbleToScale' | 'ScalingActive' | 'ScalingLimited',
    holds: boolean,
    { reason, message }: { reason: string; message: string },
  ): void {
    const at = this.#list.findIndex((condition) => condition.type === type);
    const before = this.#list[at];
    const status = holds ? 'True' : 'False';
    const since = before?.status === status ? before.lastTransitionTime : timeString(this.#now);
    const next: Condition = {
      type,
      status,
      reason,
      message,
      ...(since ? { lastTransitionTime: since } : {}),
    };
    if (before) this.#list[at] = next;
    else this.#list.push(next);
  }
}
