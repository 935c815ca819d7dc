import type { ServerResponse } from 'node:http';
import { ApiError } from '../api/errors.ts';
import type { Clock } from '../util/clock.ts';
import {
  atRevision,
  type CacheEntry,
  type CacheEvent,
  type CacheEventType,
} from './cache-entry.ts';
import type { Flushable } from './flush-queue.ts';
import { Gathered } from './gathered.ts';
import { type Shape, shapeObject } from './representation.ts';
import { type Selection, scopeOf, selectsEntry } from './selection.ts';
import type { State } from './state.ts';
import type { WatchCache } from './watch-cache.ts';
import type { Watcher, WatchScope } from './watcher-index.ts';

export interface WatchStreamDeps {
  readonly cache: WatchCache;
  readonly state: State;
  readonly clock: Clock;
  readonly res: ServerResponse;
  readonly selection: Selection;
  readonly shape: Shape;
  readonly bookmarks: boolean;
  readonly apiVersion: string;
  /** Told when the client was too slow. */
  cutOff?(): void;
}

const BOOKMARK_MS = 60_000;
// What a client that does not read may hold back in memory, before it reads on from the ring of events.
const HIGH_WATER_BYTES = 256 * 1024;
const CATCH_UP_STEP = 200;
// A client that was cut off gets so long to read what it was sent.
const FAREWELL_MS = 10_000;

/**
 * One watch. While the client keeps up, events are written as they happen. A client that does not is not fed any more:
 * it catches up from the cache's ring of events when its connection drains, and is cut off with 410 as soon as
 * these are gone. So its memory is bounded.
 */
export class WatchStream implements Watcher, Flushable {
  readonly scope: WatchScope;
  readonly #deps: WatchStreamDeps;
  readonly #frameNames: FrameNames;
  /** The last event that was written or found unwanted. */
  #at = 0;
  #lagging = false;
  #isCutOff = false;
  /** Written by the next flush. */
  #pending: Buffer[] = [];
  #pendingBytes = 0;
  #finish: () => void = () => {};

  constructor(deps: WatchStreamDeps) {
    this.#deps = deps;
    this.scope = scopeOf(deps.selection);
    this.#frameNames = frameNames(deps.shape);
  }

  async run(
    options: { start: number; initial: boolean; markInitialEnd: boolean; seconds: number },
    signal: AbortSignal,
  ): Promise<void> {
    const { cache, clock, res, bookmarks } = this.#deps;
    this.#at = options.start;
    this.#lagging = true;
    const remove = cache.addWatcher(this);
    const ended = new Promise<void>((resolve) => {
      this.#finish = resolve;
      signal.addEventListener('abort', () => resolve(), { once: true });
    });
    const stopTimer = clock.after(options.seconds * 1000, () => this.#finish());
    const stopBookmarks = bookmarks ? this.#bookmarkEvery() : () => {};
    const onDrain = (): void => this.#catchUp();
    try {
      if (options.initial) await this.#sendInitial(options.markInitialEnd);
      res.on('drain', onDrain);
      this.#catchUp();
      await ended;
    } finally {
      res.off('drain', onDrain);
      remove();
      stopTimer();
      stopBookmarks();
      this.#leave();
    }
  }

  offer(event: CacheEvent): void {
    if (this.#lagging) return;
    this.#send(event);
    if (this.#isBehind()) this.#lag();
  }

  /** Writes what has gathered, as one. */
  flush(): void {
    if (this.#pending.length === 0) return;
    const bytes = joined(this.#pending, this.#pendingBytes);
    this.#pending = [];
    this.#pendingBytes = 0;
    // What was taken at once is followed by no drain.
    if (this.#deps.res.write(bytes) && this.#lagging) this.#catchUp();
  }

  fail(err: ApiError): void {
    this.#put(Buffer.from(`${JSON.stringify({ type: 'ERROR', object: err.toStatus() })}\n`));
    this.#finish();
  }

  /** The ring of events has forgotten what is before `floor`. */
  forgotten(floor: number): void {
    if (this.#lagging && this.#at < floor) this.#cutOff();
  }

  async #sendInitial(mark: boolean): Promise<void> {
    const { cache, selection, res, state, shape } = this.#deps;
    this.#at = cache.upTo(state.revision);
    const revision = this.#at;
    const out = new Gathered(res);
    for (const entry of cache.slice(selection.namespace)) {
      if (!selectsEntry(selection, entry)) continue;
      for (const part of [HEADS.ADDED, shapeObject(shape, entry.served.bytes), TAIL]) out.add(part);
      if (!out.isFull) continue;
      await state.pieces.next();
      if (!(await out.flush())) return;
    }
    await out.flush();
    if (mark) this.#bookmark(revision, true);
  }

  #lag(): void {
    this.#lagging = true;
    this.#deps.cache.lagging.add(this);
  }

  /** Reads on from the ring until nothing is missing or the client is behind again. */
  #catchUp(): void {
    const { cache, res } = this.#deps;
    while (this.#lagging && !this.#isCutOff && !this.#isBehind() && !res.destroyed) {
      const events = cache.eventsAfter(this.#at, CATCH_UP_STEP);
      if (!events) {
        this.#cutOff();
        return;
      }
      if (!this.#sendSome(events) || events.length === CATCH_UP_STEP) continue;
      this.#lagging = false;
      cache.lagging.delete(this);
    }
    if (this.#lagging && !this.#isCutOff) cache.lagging.add(this);
  }

  /** False when the client is behind before all were sent. */
  #sendSome(events: readonly CacheEvent[]): boolean {
    for (const event of events) {
      if (this.#isBehind()) return false;
      this.#send(event);
    }
    return true;
  }

  #isBehind(): boolean {
    return this.#pendingBytes + this.#deps.res.writableLength > HIGH_WATER_BYTES;
  }

  #cutOff(): void {
    if (this.#isCutOff) return;
    this.#isCutOff = true;
    const { cache, cutOff } = this.#deps;
    cache.lagging.delete(this);
    cutOff?.();
    this.fail(new ApiError('Expired', `too old resource version: ${this.#at} (${cache.oldest})`));
  }

  /** Ends the answer. A client that reads nothing must not hold it for ever. */
  #leave(): void {
    const { res, cache, clock } = this.#deps;
    cache.lagging.delete(this);
    this.flush();
    const stopTimer = clock.after(FAREWELL_MS, () => res.destroy());
    res.on('close', stopTimer);
    res.end();
  }

  #send(event: CacheEvent): void {
    if (event.revision <= this.#at) return;
    this.#at = event.revision;
    const { selection } = this.#deps;
    const is = event.type !== 'DELETED' && selectsEntry(selection, event.entry);
    const was = event.previous !== undefined && selectsEntry(selection, event.previous);
    if (is) this.#writeShared(event, was ? 'MODIFIED' : 'ADDED');
    else if (was) this.#writeShared(event, 'DELETED');
  }

  #writeShared(event: CacheEvent, type: CacheEventType): void {
    this.#put(sharedFrame(event, { type, shape: this.#deps.shape, name: this.#frameNames[type] }));
  }

  #put(bytes: Buffer): void {
    this.#pending.push(bytes);
    this.#pendingBytes += bytes.length;
    this.#deps.state.flushes.add(this);
  }

  #bookmarkEvery(): () => void {
    const { cache, clock, state } = this.#deps;
    let stop = (): void => {};
    const arm = (): void => {
      stop = clock.after(BOOKMARK_MS, () => {
        if (!this.#lagging) this.#bookmark(cache.upTo(state.revision), false);
        arm();
      });
    };
    arm();
    return () => stop();
  }

  #bookmark(revision: number, initialEnd: boolean): void {
    const { shape, apiVersion } = this.#deps;
    const metadata = {
      resourceVersion: String(revision),
      ...(initialEnd ? { annotations: { 'k8s.io/initial-events-end': 'true' } } : {}),
    };
    const as = shape.representation.as;
    const kind = as === undefined ? shape.kind.kind : as;
    const version =
      as === undefined ? apiVersion : `meta.k8s.io/${shape.representation.metaVersion}`;
    const object = {
      kind,
      apiVersion: version,
      metadata,
      ...(as === 'Table' ? { columnDefinitions: [], rows: [] } : {}),
    };
    this.#put(Buffer.from(`${JSON.stringify({ type: 'BOOKMARK', object })}\n`));
  }
}

const TAIL = Buffer.from('}\n');
const HEADS = {
  ADDED: Buffer.from('{"type":"ADDED","object":'),
  MODIFIED: Buffer.from('{"type":"MODIFIED","object":'),
  DELETED: Buffer.from('{"type":"DELETED","object":'),
};

function frame(type: CacheEventType, object: Buffer): Buffer {
  return Buffer.concat([HEADS[type], object, TAIL]);
}

/** Frames of an event, made once however many watch. Gone with the event. */
const frames = new WeakMap<CacheEvent, Map<string, Buffer>>();

type FrameNames = Readonly<Record<CacheEventType, string>>;

/** By which name watches that see the same of an object share its frames. */
function frameNames(shape: Shape): FrameNames {
  const { as = '', metaVersion = '' } = shape.representation;
  const { group, version } = shape.kind;
  const name = `${as} ${metaVersion} ${as === 'Table' ? shape.includeObject : ''} ${group}/${version}`;
  return { ADDED: `ADDED ${name}`, MODIFIED: `MODIFIED ${name}`, DELETED: `DELETED ${name}` };
}

function sharedFrame(
  event: CacheEvent,
  { type, shape, name }: { type: CacheEventType; shape: Shape; name: string },
): Buffer {
  let known = frames.get(event);
  if (!known) {
    known = new Map();
    frames.set(event, known);
  }
  let bytes = known.get(name);
  if (!bytes) {
    bytes = frame(type, shapeObject(shape, stateFor(event, type).served.bytes));
    known.set(name, bytes);
  }
  return bytes;
}

/** What was joined last behind a first piece. Gone with it. */
const joints = new WeakMap<Buffer, { pieces: readonly Buffer[]; bytes: Buffer }>();

/** The pieces as one. Of a thousand watchers that have gathered the same events, only the first one's are copied. */
function joined(pieces: readonly Buffer[], length: number): Buffer {
  const [first] = pieces;
  if (!first || pieces.length === 1) return first ?? Buffer.alloc(0);
  const known = joints.get(first);
  if (known?.pieces.length === pieces.length && pieces.every((p, i) => p === known.pieces[i])) {
    return known.bytes;
  }
  const bytes = Buffer.concat(pieces, length);
  joints.set(first, { pieces, bytes });
  return bytes;
}

/** An object that left a selection is told with its last selected state, under the revision of the change. */
function stateFor({ entry, previous, revision, type }: CacheEvent, as: CacheEventType): CacheEntry {
  if (as !== 'DELETED' || type === 'DELETED' || !previous) return entry;
  return atRevision(previous, revision);
}
