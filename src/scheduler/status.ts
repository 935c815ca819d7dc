/**
 * Why a plugin did not say yes. Success is the absence of a Status (`FITS`).
 * - Unschedulable: not now, but evicting Pods may help.
 * - UnschedulableAndUnresolvable: evicting Pods would not help.
 * - Pending: waits for something outside, evicting would not help and back-off is not a punishment.
 * - Wait: only from Permit. Skip: only from PreFilter, PreScore and Bind: nothing to do for this Pod.
 * - Error: an internal failure; the Pod is retried after a back-off.
 */
export type StatusCode =
  | 'Unschedulable'
  | 'UnschedulableAndUnresolvable'
  | 'Pending'
  | 'Wait'
  | 'Skip'
  | 'Error';

export interface Status {
  readonly code: StatusCode;
  readonly reasons: readonly string[];
  /** Which plugin said so; the framework fills it in. */
  readonly plugin?: string;
  readonly cause?: unknown;
}

export const FITS = undefined;
export const SKIP: Status = { code: 'Skip', reasons: [] };

export function unschedulable(...reasons: string[]): Status {
  return { code: 'Unschedulable', reasons };
}

export function unresolvable(...reasons: string[]): Status {
  return { code: 'UnschedulableAndUnresolvable', reasons };
}

export function pending(...reasons: string[]): Status {
  return { code: 'Pending', reasons };
}

export function failed(message: string, cause?: unknown): Status {
  return { code: 'Error', reasons: [message], ...(cause === undefined ? {} : { cause }) };
}

/** The plugin refused the Pod, as opposed to having failed. */
export function isRejection(status: Status): boolean {
  return (
    status.code === 'Unschedulable' ||
    status.code === 'UnschedulableAndUnresolvable' ||
    status.code === 'Pending'
  );
}

export function statusMessage(status: Status): string {
  return status.reasons.join(', ');
}

export function byPlugin(status: Status, plugin: string): Status {
  return status.plugin === plugin ? status : { ...status, plugin };
}
