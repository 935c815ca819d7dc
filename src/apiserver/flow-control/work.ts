import type { RequestInfo } from '../request-info.ts';

/** What a request takes of its level (apiserver flowcontrol/request). */
export interface Work {
  /** Seats while it runs. */
  readonly width: number;
  /** Seats that stay taken for a while when it has been answered. */
  readonly after?: { readonly seats: number; readonly milliseconds: number } | undefined;
}

/** No request takes more seats, however much work it is. */
const MAX_SEATS = 10;
/** Nor more than this part of its level's. */
const MAX_PART = 0.15;
const OBJECTS_PER_SEAT = 100;
const WATCHES_PER_SEAT = 10;
/** How long the event of a write keeps each of its seats busy. */
const EVENT_MS = 5;

export const ONE_SEAT: Work = { width: 1 };

/** The most seats that a request may take of a level with so many. */
export function mostSeats(nominal: number): number {
  return Math.max(1, Math.min(MAX_SEATS, Math.ceil(nominal * MAX_PART)));
}

/** A list takes a seat for each hundred objects that it goes through. */
export function listWork(objects: number, most: number): Work {
  return { width: Math.max(1, Math.min(most, Math.ceil(objects / OBJECTS_PER_SEAT))) };
}

/**
 * A write takes one seat, and afterwards one for each ten watches that must be told of it, for 5 ms. Where these are
 * more than it may have, it keeps those that it may for longer. They are reserved from the beginning.
 */
export function writeWork(watches: number, most: number): Work {
  if (watches < WATCHES_PER_SEAT) return ONE_SEAT;
  const wanted = Math.ceil(watches / WATCHES_PER_SEAT);
  const seats = Math.min(wanted, most);
  return { width: seats, after: { seats, milliseconds: (wanted * EVENT_MS) / seats } };
}

const WRITES = new Set(['create', 'update', 'patch', 'delete']);

/** True for requests that watches may hear of. A token of a service account is no change of it. */
export function makesEvents({ verb, resource, subresource }: RequestInfo): boolean {
  return WRITES.has(verb) && !(resource === 'serviceaccounts' && subresource === 'token');
}
