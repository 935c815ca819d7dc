import type { ObjectKey, ResourceType } from '../api/resource-types.ts';
import type { Draft, List, WatchEvent } from '../api/types.ts';

/** Which objects of a kind: all, one namespace's, those that the selectors match. */
export interface Selection {
  /** Empty or absent: all namespaces. */
  namespace?: string | undefined;
  labelSelector?: string | undefined;
  fieldSelector?: string | undefined;
  /** Only apiVersion, kind and metadata of each object (PartialObjectMetadata). */
  metadataOnly?: boolean | undefined;
}

export interface ListOptions extends Selection {
  limit?: number | undefined;
  continue?: string | undefined;
  resourceVersion?: string | undefined;
}

export interface WatchOptions extends Selection {
  /** Events after this revision. Empty: from now, with ADDED for what exists. */
  resourceVersion: string;
  /** WatchList: existing objects as ADDED, then a BOOKMARK with annotation k8s.io/initial-events-end. */
  sendInitialEvents?: boolean | undefined;
}

export interface WriteOptions {
  dryRun?: boolean | undefined;
  fieldManager?: string | undefined;
}

export interface DeleteOptions {
  gracePeriodSeconds?: number | undefined;
  propagationPolicy?: 'Background' | 'Foreground' | 'Orphan' | undefined;
  preconditions?: { uid?: string | undefined; resourceVersion?: string | undefined } | undefined;
}

export type PatchType = 'json' | 'merge' | 'strategic' | 'apply';

/**
 * The front door as components see it. Every method rejects with `ApiError` when the server refuses;
 * connection failures are retried by the caller's loop, not here.
 */
export interface Client {
  get<T>(type: ResourceType<T>, key: ObjectKey, signal?: AbortSignal): Promise<T>;
  list<T>(type: ResourceType<T>, options?: ListOptions, signal?: AbortSignal): Promise<List<T>>;
  /** Yields events until the server ends the watch (then returns) or the signal aborts. An ERROR event is thrown as ApiError. */
  watch<T>(
    type: ResourceType<T>,
    options: WatchOptions,
    signal: AbortSignal,
  ): AsyncIterable<WatchEvent<T>>;
  create<T>(type: ResourceType<T>, object: Draft<T>, options?: WriteOptions): Promise<T>;
  /** Replaces the object; fails with Conflict when its resourceVersion is not the newest. */
  update<T>(
    type: ResourceType<T>,
    object: T,
    options?: WriteOptions & { subresource?: string },
  ): Promise<T>;
  patch<T>(
    type: ResourceType<T>,
    key: ObjectKey,
    patch: { type: PatchType; body: unknown },
    options?: WriteOptions & { subresource?: string; force?: boolean },
  ): Promise<T>;
  delete<T>(type: ResourceType<T>, key: ObjectKey, options?: DeleteOptions): Promise<void>;
  /** POST to a sub-resource: binding, eviction, token. The answer is the server's body. */
  createSubresource<T>(
    type: ResourceType<T>,
    key: ObjectKey,
    subresource: string,
    body: unknown,
  ): Promise<unknown>;
  /** Any path, for discovery and the like. Answers the parsed JSON body. */
  raw(method: string, path: string, body?: unknown, signal?: AbortSignal): Promise<unknown>;
}

export interface InformerHandler<T> {
  onAdd?(object: T, isInitial: boolean): void;
  /** Of one and the same object: one that takes another's name is told of by that one's end and its own beginning. */
  onUpdate?(before: T, after: T): void;
  /** The last known state. */
  onDelete?(object: T): void;
}

/** A read-only, shared, indexed copy of a selection. Its objects are shared: never change one. */
export interface Lister<T> {
  get(key: ObjectKey): T | undefined;
  list(namespace?: string): T[];
  /** Objects whose index function answered `value`. */
  byIndex(index: string, value: string): T[];
}

/** Keeps a Lister true by list, then watch; re-lists after 410. */
export interface Informer<T> extends Lister<T> {
  readonly type: ResourceType<T>;
  addHandler(handler: InformerHandler<T>): void;
  /** Only before `run`. */
  addIndex(name: string, valuesOf: (object: T) => string[]): void;
  readonly synced: boolean;
  /** What was written up to this resource version is shown (ordered numbers, KEP-5504); 0 while a list is under way. */
  readonly revision: number;
  whenSynced(signal: AbortSignal): Promise<void>;
  /** Works until aborted. */
  run(signal: AbortSignal): Promise<void>;
}

/** What a component tells people about an object. */
export interface EventRecorder {
  event(about: EventSubject, type: 'Normal' | 'Warning', reason: string, message: string): void;
}

export interface EventSubject {
  apiVersion: string;
  kind: string;
  metadata: { name: string; namespace?: string; uid?: string; resourceVersion?: string };
  /** Which part of the object: `spec.containers{web}`. */
  fieldPath?: string;
  /** Of the event, for machines to read. */
  annotations?: Record<string, string>;
}
