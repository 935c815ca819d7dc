import type { PodInfo } from './pod-info.ts';

/** A Pod that waits to be placed, and how it has fared so far. */
export interface QueuedPod {
  info: PodInfo;
  /** When it was added to the queue for this attempt; breaks ties between equal priorities. */
  addedAt: number;
  readonly firstAddedAt: number;
  firstAttemptAt: number | undefined;
  attempts: number;
  /** Rejections in a row, and failures in a row: each lengthens the back-off. */
  rejections: number;
  errors: number;
  /** When the back-off ends. */
  readyAt: number;
  /** The plugins that rejected it last: only events that these care about wake it. */
  rejectedBy: ReadonlySet<string>;
  /** Plugins that wait for something outside: no back-off after their event. */
  pendingOn: ReadonlySet<string>;
  /** The PreEnqueue plugin that holds it back. */
  gatedBy: string | undefined;
}

export function newQueuedPod(info: PodInfo, now: number): QueuedPod {
  return {
    info,
    addedAt: now,
    firstAddedAt: now,
    firstAttemptAt: undefined,
    attempts: 0,
    rejections: 0,
    errors: 0,
    readyAt: now,
    rejectedBy: new Set(),
    pendingOn: new Set(),
    gatedBy: undefined,
  };
}
