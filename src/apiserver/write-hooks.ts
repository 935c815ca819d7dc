import type { KubeObject } from '../api/types.ts';
import type { WriteContext } from './resource-kind.ts';

/** What a hook reserved for a write that is not stored yet. */
export interface Reservation {
  /** The write is stored: give back what the object had before and has no more. */
  commit(): Promise<void>;
  /** The write failed: give back what it got. */
  cancel(): Promise<void>;
}

/** Something that objects of one kind hold outside of themselves: addresses and ports of Services. */
export interface WriteHook {
  /** Fills in what the object needs. Refuses with an `ApiError`. `old` is undefined on create. */
  reserve(
    object: KubeObject,
    old: KubeObject | undefined,
    context: WriteContext,
  ): Promise<Reservation>;
  /** The object is gone. */
  release(object: KubeObject): Promise<void>;
}

/** Hooks by `GROUP/RESOURCE`. */
export type WriteHooks = ReadonlyMap<string, WriteHook>;

export const NO_RESERVATION: Reservation = {
  commit: () => Promise.resolve(),
  cancel: () => Promise.resolve(),
};
