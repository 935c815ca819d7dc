/** One stored value. `revision` is that of its last write. */
export interface KeyValue {
  readonly key: string;
  readonly value: Buffer;
  readonly revision: number;
}

/** One write as a watcher sees it; `value` is undefined for a removal. */
export interface StorageEvent {
  readonly key: string;
  readonly revision: number;
  readonly value: Buffer | undefined;
}

export interface ListOptions {
  /** At most so many items; 0 or absent: all. */
  limit?: number;
  /** Only keys that sort behind this one. */
  after?: string;
  /** The past revision to read; absent: the newest. */
  revision?: number;
  /** Whether all keys behind the page are to be counted, which costs as much as reading them. */
  count?: boolean;
}

export interface ListResult {
  readonly items: KeyValue[];
  /** The store's revision that the items were read at. */
  readonly revision: number;
  /** How many keys follow the last item; 0 when the list is whole. At least 1 when not, unless they were to be counted. */
  readonly remaining: number;
}

/** What a watcher is told. Called synchronously, in order; must not throw. */
export interface WatchSink {
  events(batch: readonly StorageEvent[]): void;
  /** Everything up to this revision has been delivered. Only some engines tell. */
  progress?(revision: number): void;
}

export interface StorageStatus {
  readonly revision: number;
  /** History up to here is gone. */
  readonly compacted: number;
  /** Bytes on disk. */
  readonly size: number;
  /** Bytes of these that hold something; the rest is reused, or given back by defragmentation. */
  readonly sizeInUse: number;
}

/** A key as a backup holds it. */
export interface DumpItem extends KeyValue {
  /** Milliseconds since the epoch when the key vanishes; 0: it does not. */
  readonly expires: number;
}

/** All keys as of one revision, in no promised order. */
export interface Dump {
  readonly revision: number;
  readonly items: AsyncIterable<DumpItem>;
}

/**
 * Where state lives: etcd's model. Each successful write gets the next revision of the whole store. Writes are
 * compare-and-swap, reads are consistent snapshots, a write's promise resolves only when it is durable,
 * and by then watchers of this process have been told (lmdb) or will be told soon (etcd).
 * Failures are `StorageError`s.
 */
export interface Storage {
  get(key: string): Promise<KeyValue | undefined>;
  /** Keys that start with `prefix`, in byte order. Fails with `compacted` or `future` for revisions it cannot read. */
  list(prefix: string, options?: ListOptions): Promise<ListResult>;
  /** Answers the new revision. Fails with `exists`. With `ttlSeconds` the key is removed so long after this write. */
  create(
    key: string,
    value: Buffer,
    options?: { ttlSeconds?: number | undefined },
  ): Promise<number>;
  /** Fails with `conflict` when the key is gone or its revision is another than `expected`. */
  update(
    key: string,
    value: Buffer,
    expected: number,
    options?: { ttlSeconds?: number | undefined },
  ): Promise<number>;
  /** Answers the revision of the removal. Fails with `conflict` like `update`. */
  delete(key: string, expected: number): Promise<number>;
  /**
   * Delivers every event under `prefix` behind revision `after`: ordered, unique, without gaps. Resolves when the signal
   * aborts; rejects with `compacted` when the history is gone.
   */
  watch(
    prefix: string,
    options: { after: number },
    sink: WatchSink,
    signal: AbortSignal,
  ): Promise<void>;
  /**
   * The newest revision of the whole store, asked of it now. Only engines whose watchers are told late have this:
   * who has seen everything up to there has seen every write that was acknowledged before the question.
   */
  newest?(): Promise<number>;
  /** Asks that watchers be told by `progress` how far they are. */
  requestProgress?(): void;
  /** Whether a value should be written again although it is the same. Only stores that seal values have this. */
  isStale?(key: string): Promise<boolean>;
  /** Forgets the history up to and including `revision`; the newest state of each key stays. */
  compact(revision: number): Promise<void>;
  status(): Promise<StorageStatus>;
  /** Everything as of now, read step by step while writes go on. `items` must be read to its end or returned. */
  dump(): Promise<Dump>;
  close(): Promise<void>;
}

export type StorageErrorKind =
  | 'exists'
  | 'conflict'
  | 'compacted'
  | 'future'
  | 'no-space'
  | 'unavailable';

export class StorageError extends Error {
  override readonly name = 'StorageError';
  readonly kind: StorageErrorKind;
  /** For `compacted`: the oldest revision that can still be watched from. For `conflict`: what is there instead. */
  readonly revision: number | undefined;

  constructor(
    kind: StorageErrorKind,
    message: string,
    options: { revision?: number | undefined; cause?: unknown } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.kind = kind;
    this.revision = options.revision;
  }
}

export function isStorageError(err: unknown, kind: StorageErrorKind): err is StorageError {
  return err instanceof StorageError && err.kind === kind;
}

/** The first key that sorts behind every key with this prefix; undefined for the empty prefix. */
export function prefixEnd(prefix: string): string | undefined {
  const last = prefix.length - 1;
  if (last < 0) return undefined;
  return prefix.slice(0, last) + String.fromCharCode(prefix.charCodeAt(last) + 1);
}
