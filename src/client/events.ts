import { ApiError, isNotFound } from '../api/errors.ts';
import { EVENTS, type ObjectKey } from '../api/resource-types.ts';
import { timeString } from '../api/times.ts';
import type { Draft, Event } from '../api/types.ts';
import { type Clock, realClock } from '../util/clock.ts';
import { errorMessage } from '../util/errors.ts';
import type { Logger } from '../util/log.ts';
import type { Rush } from '../util/rush.ts';
import type { Client, EventRecorder, EventSubject } from './client.ts';
import { EventCorrelator } from './event-correlator.ts';
import { WorkQueue } from './workqueue.ts';

/** client-go's broadcaster: at most this many events wait; more are dropped, never the work that they tell of. */
const BUFFER = 1000;
/** Written at the same time, each about another object: one after the other they would fall seconds behind a rollout. */
const AT_ONCE = 8;
/** As long as that an event lets other work go first. */
const PATIENCE_MS = 2000;
const MAX_TRIES = 12;
const RETRY_MS = 10_000;

export interface EventSource {
  /** `replicaset-controller`: the From column of `kubectl describe`. */
  readonly component: string;
  readonly host?: string;
}

interface Waiting {
  readonly draft: Draft<Event>;
  /** Since when. */
  readonly since: number;
}

interface EventText {
  readonly type: 'Normal' | 'Warning';
  readonly reason: string;
  readonly message: string;
}

/** Tells people about objects by writing Events, those of one object in order, never blocking or failing its caller. */
export class EventWriter implements EventRecorder {
  readonly #deps: { client: Client; log: Logger; clock: Clock; first?: Rush };
  readonly #source: EventSource;
  readonly #correlator: EventCorrelator;
  /** What waits, by object. A worker holds an object while it writes one of its events. */
  readonly #waiting = new Map<string, Waiting[]>();
  readonly #objects = new WorkQueue();
  #waitingCount = 0;
  #sequence = 0;

  /** Events wait for what is to be done `first`, for a while. */
  constructor(
    deps: { client: Client; log: Logger; clock?: Clock; first?: Rush },
    source: EventSource,
  ) {
    this.#deps = { clock: realClock, ...deps };
    this.#source = source;
    this.#correlator = new EventCorrelator(this.#deps.clock);
  }

  event(about: EventSubject, type: 'Normal' | 'Warning', reason: string, message: string): void {
    this.#record(about, { type, reason, message }, this.#source);
  }

  /** A recorder that writes through this one under another source name. */
  as(component: string): EventRecorder {
    const source = { ...this.#source, component };
    return {
      event: (about, type, reason, message) =>
        this.#record(about, { type, reason, message }, source),
    };
  }

  /** Writes until aborted. What still waits then is dropped. */
  async run(signal: AbortSignal): Promise<void> {
    signal.addEventListener('abort', () => this.#objects.close(), { once: true });
    if (signal.aborted) this.#objects.close();
    await Promise.all(Array.from({ length: AT_ONCE }, () => this.#work(signal)));
  }

  async #work(signal: AbortSignal): Promise<void> {
    for (;;) {
      const object = await this.#objects.get();
      if (object === undefined) return;
      const events = this.#waiting.get(object);
      const next = events?.shift();
      if (next) {
        this.#waitingCount--;
        await this.#letPass(next.since, signal);
        await this.#write(next.draft, signal);
      }
      if (events && events.length > 0) this.#objects.add(object);
      else this.#waiting.delete(object);
      this.#objects.done(object);
    }
  }

  async #letPass(since: number, signal: AbortSignal): Promise<void> {
    const { clock, first } = this.#deps;
    const left = since + PATIENCE_MS - clock.now();
    if (!first?.isOn || left <= 0) return;
    const patience = new AbortController();
    // The clock may have been set back meanwhile.
    const cancel = clock.after(Math.min(left, PATIENCE_MS), () => patience.abort());
    await first.over(AbortSignal.any([signal, patience.signal]));
    cancel();
  }

  #record(about: EventSubject, text: EventText, source: EventSource): void {
    const { log, clock } = this.#deps;
    log.debug({ kind: about.kind, name: about.metadata.name, ...text }, 'Event');
    if (this.#waitingCount >= BUFFER) {
      log.warn({ reason: text.reason }, 'Too many events wait; dropped one');
      return;
    }
    // Upstream puts the nanosecond, in hex, after the object's name; we count within the millisecond.
    this.#sequence = (this.#sequence + 1) % 1_000_000;
    const suffix = (BigInt(clock.now()) * 1_000_000n + BigInt(this.#sequence)).toString(16);
    const name = `${about.metadata.name}.${suffix}`;
    this.#enqueue(draftOf(about, text, { name, source, now: timeString(clock.now()) }));
  }

  #enqueue(draft: Draft<Event>): void {
    const { kind, namespace, name, uid } = draft.involvedObject;
    const object = [kind, namespace, name, uid].join('\0');
    const events = this.#waiting.get(object);
    const waiting = { draft, since: this.#deps.clock.now() };
    if (events) events.push(waiting);
    else this.#waiting.set(object, [waiting]);
    this.#waitingCount++;
    this.#objects.add(object);
  }

  async #write(draft: Draft<Event>, signal: AbortSignal): Promise<void> {
    const seen = this.#correlator.correlate(draft);
    if (!seen) return; // spam
    for (let tries = 1; !signal.aborted; tries++) {
      try {
        this.#correlator.stored(seen.key, await this.#send(seen.event, seen.repeated));
        return;
      } catch (err) {
        if (err instanceof ApiError || tries >= MAX_TRIES) {
          const fields = { reason: draft.reason, err: errorMessage(err) };
          this.#deps.log.debug(fields, 'Cannot write an event');
          return;
        }
        const wait = tries === 1 ? RETRY_MS * Math.random() : RETRY_MS;
        await this.#deps.clock.sleep(wait, signal).catch(() => {});
      }
    }
  }

  async #send(event: Draft<Event>, repeated: boolean): Promise<Event> {
    const { client } = this.#deps;
    if (!repeated) return client.create(EVENTS, event);
    const { namespace = '', name = '' } = event.metadata;
    const key: ObjectKey = { namespace, name };
    const { count, lastTimestamp, message } = event;
    try {
      const body = { count, lastTimestamp, message };
      return await client.patch(EVENTS, key, { type: 'strategic', body });
    } catch (err) {
      if (!isNotFound(err)) throw err;
      return client.create(EVENTS, event); // its time to live was over
    }
  }
}

function draftOf(
  about: EventSubject,
  text: EventText,
  { name, source, now }: { name: string; source: EventSource; now: string },
): Draft<Event> {
  const { metadata, apiVersion, kind, fieldPath, annotations } = about;
  const namespace = metadata.namespace ? metadata.namespace : 'default';
  return {
    apiVersion: 'v1',
    kind: 'Event',
    metadata: { name, namespace, ...(annotations ? { annotations } : {}) },
    involvedObject: {
      apiVersion,
      kind,
      name: metadata.name,
      ...(metadata.namespace ? { namespace: metadata.namespace } : {}),
      ...(metadata.uid ? { uid: metadata.uid } : {}),
      ...(metadata.resourceVersion ? { resourceVersion: metadata.resourceVersion } : {}),
      ...(fieldPath ? { fieldPath } : {}),
    },
    ...text,
    source: { ...source },
    firstTimestamp: now,
    lastTimestamp: now,
    count: 1,
    reportingComponent: source.component,
    reportingInstance: source.host ?? '',
  };
}

/** The subject of a LeaderElection event and the like, when only a key is at hand. */
export function subjectOf(
  type: { group: string; version: string; kind: string },
  key: ObjectKey,
): EventSubject {
  const apiVersion = type.group === '' ? type.version : `${type.group}/${type.version}`;
  return { apiVersion, kind: type.kind, metadata: { ...key } };
}
