import { ApiError, alreadyExists, conflict, notFound } from '../api/errors.ts';
import {
  apiVersionOf,
  keyString,
  type ObjectKey,
  type ResourceType,
} from '../api/resource-types.ts';
import type { Draft, KubeObject, List, StoredMeta, WatchEvent } from '../api/types.ts';
import type {
  Client,
  DeleteOptions,
  ListOptions,
  PatchType,
  WatchOptions,
  WriteOptions,
} from './client.ts';

/** One call that the fake answered; only writes are recorded. */
export interface Action {
  readonly verb: 'create' | 'update' | 'patch' | 'delete' | 'createSubresource';
  readonly resource: string;
  readonly key: string;
  readonly subresource?: string;
  readonly body?: unknown;
}

type Object_ = KubeObject & { metadata: StoredMeta };
type Reactor = (action: Action) => Error | undefined;

interface Change {
  readonly resource: string;
  readonly revision: number;
  readonly event: WatchEvent<Object_>;
}

/**
 * An API server in memory for unit tests: revisions, conflicts, watches, finalizers, generation, the split between an
 * object and its status, and graceful deletion of bound Pods. No defaults, no validation, no admission.
 */
export class FakeClient implements Client {
  /** Writes in the order in which they came, refused ones included. */
  readonly actions: Action[] = [];
  readonly #objects = new Map<string, Map<string, Object_>>();
  readonly #history: Change[] = [];
  readonly #watchers = new Set<() => void>();
  readonly #reactors: Reactor[] = [];
  #outage: Error | undefined;
  #revision = 0;
  #compactedAt = 0;
  #uids = 0;
  #now: () => number = () => Date.UTC(2026, 0, 1);

  constructor(options: { now?: () => number } = {}) {
    if (options.now) this.#now = options.now;
  }

  /** Puts objects in place as they are, without an action. */
  seed<T>(type: ResourceType<T>, ...objects: Draft<T>[]): T[] {
    return objects.map((object) => this.#insert(type, object as unknown as KubeObject) as T);
  }

  /** Every write is shown to `reactor` first; an error that it answers is what the caller gets. The answer removes it. */
  react(reactor: Reactor): () => void {
    this.#reactors.push(reactor);
    return () => {
      const index = this.#reactors.indexOf(reactor);
      if (index >= 0) this.#reactors.splice(index, 1);
    };
  }

  /** The server is gone: watches break, every call fails. The answer brings it back. `seed` works all the time. */
  disconnect(): () => void {
    const refused = new Error('connect ECONNREFUSED');
    this.#outage = Object.assign(refused, { code: 'ECONNREFUSED' });
    this.#wakeAll();
    return () => {
      this.#outage = undefined;
    };
  }

  /** Forgets history: watches from before answer 410. */
  compact(): void {
    this.#compactedAt = this.#revision;
    this.#history.length = 0;
    this.#wakeAll();
  }

  /** The stored objects of a kind, in order of creation. */
  all<T>(type: ResourceType<T>, namespace = ''): T[] {
    const objects = [...this.#of(type).values()];
    const inside = objects.filter((o) => namespace === '' || o.metadata.namespace === namespace);
    return inside.map((o) => structuredClone(o) as T);
  }

  /** `VERB RESOURCE[/SUB] KEY` of each recorded write. */
  get log(): string[] {
    return this.actions.map(
      (a) => `${a.verb} ${a.resource}${a.subresource ? `/${a.subresource}` : ''} ${a.key}`,
    );
  }

  async get<T>(type: ResourceType<T>, key: ObjectKey): Promise<T> {
    this.#reach();
    return structuredClone(this.#find(type, key)) as T;
  }

  async list<T>(type: ResourceType<T>, options: ListOptions = {}): Promise<List<T>> {
    this.#reach();
    const items = [...this.#of(type).values()].filter((o) => selected(o, options));
    return {
      apiVersion: apiVersionOf(type),
      kind: `${type.kind}List`,
      metadata: { resourceVersion: String(this.#revision) },
      items: items.map((o) => structuredClone(o) as T),
    };
  }

  async *watch<T>(
    type: ResourceType<T>,
    options: WatchOptions,
    signal: AbortSignal,
  ): AsyncIterable<WatchEvent<T>> {
    let at = Number(options.resourceVersion || this.#revision);
    while (!signal.aborted) {
      this.#reach();
      if (at < this.#compactedAt) throw new ApiError('Expired', 'too old resource version');
      const next = this.#history.find((c) => c.revision > at);
      if (!next) {
        await this.#changed(signal);
        continue;
      }
      at = next.revision;
      if (next.resource !== resourceId(type) || !selected(next.event.object, options)) continue;
      yield structuredClone(next.event) as WatchEvent<T>;
    }
  }

  async create<T>(type: ResourceType<T>, object: Draft<T>): Promise<T> {
    const draft = object as unknown as KubeObject;
    const { namespace = '', generateName = '' } = draft.metadata;
    const name = draft.metadata.name ?? `${generateName}${String(this.#uids + 1).padStart(5, '0')}`;
    const key = keyString({ namespace, name });
    this.#record({ verb: 'create', resource: type.resource, key, body: structuredClone(object) });
    if (this.#of(type).has(key)) throw alreadyExists(type, name);
    return this.#insert(type, { ...draft, metadata: { ...draft.metadata, name } }) as T;
  }

  async update<T>(
    type: ResourceType<T>,
    object: T,
    options: WriteOptions & { subresource?: string } = {},
  ): Promise<T> {
    const wanted = structuredClone(object) as Object_;
    const { namespace = '', name, resourceVersion } = wanted.metadata;
    const key = { namespace, name };
    this.#record({
      verb: 'update',
      resource: type.resource,
      key: keyString(key),
      ...(options.subresource ? { subresource: options.subresource } : {}),
      body: structuredClone(object),
    });
    const current = this.#find(type, key);
    if (resourceVersion && resourceVersion !== current.metadata.resourceVersion) {
      throw conflict(type, name, 'the object has been modified; please apply your changes');
    }
    return this.#replace(type, current, wanted, options.subresource ?? '') as T;
  }

  async patch<T>(
    type: ResourceType<T>,
    key: ObjectKey,
    patch: { type: PatchType; body: unknown },
    options: WriteOptions & { subresource?: string; force?: boolean } = {},
  ): Promise<T> {
    if (patch.type === 'json') throw new Error('The fake knows merge patches only');
    this.#record({
      verb: 'patch',
      resource: type.resource,
      key: keyString(key),
      ...(options.subresource ? { subresource: options.subresource } : {}),
      body: structuredClone(patch.body),
    });
    const current = this.#find(type, key);
    const { uid, resourceVersion } = (patch.body as KubeObject).metadata ?? {};
    const { metadata } = current;
    if ((uid ?? metadata.uid) !== metadata.uid) throw conflict(type, key.name, 'uid mismatch');
    if ((resourceVersion ?? metadata.resourceVersion) !== metadata.resourceVersion) {
      throw conflict(type, key.name, 'the object has been modified');
    }
    const wanted = merge(structuredClone(current), patch.body) as Object_;
    return this.#replace(type, current, wanted, options.subresource ?? '') as T;
  }

  async delete<T>(
    type: ResourceType<T>,
    key: ObjectKey,
    options: DeleteOptions = {},
  ): Promise<void> {
    const verb = 'delete';
    this.#record({ verb, resource: type.resource, key: keyString(key), body: { ...options } });
    const current = this.#find(type, key);
    const { uid } = options.preconditions ?? {};
    if (uid !== undefined && uid !== current.metadata.uid) {
      throw conflict(type, key.name, 'the UID in the precondition does not match');
    }
    const marked = structuredClone(current);
    const grace = graceOf(type, current, options);
    const { propagationPolicy } = options;
    if (propagationPolicy === 'Foreground') addFinalizer(marked, 'foregroundDeletion');
    if (propagationPolicy === 'Orphan') addFinalizer(marked, 'orphan');
    if (grace === 0 && (marked.metadata.finalizers ?? []).length === 0) {
      this.#remove(type, current);
      return;
    }
    marked.metadata.deletionTimestamp ??= new Date(this.#now() + grace * 1000).toISOString();
    marked.metadata.deletionGracePeriodSeconds = grace;
    this.#put(type, marked, 'MODIFIED');
  }

  async createSubresource<T>(
    type: ResourceType<T>,
    key: ObjectKey,
    subresource: string,
    body: unknown,
  ): Promise<unknown> {
    const resource = type.resource;
    this.#record({ verb: 'createSubresource', resource, key: keyString(key), subresource, body });
    const current = structuredClone(this.#find(type, key));
    if (subresource === 'binding') {
      const target = (body as { target?: { name?: string } }).target?.name;
      current.spec = { ...(current.spec as object), nodeName: target };
      this.#put(type, current, 'MODIFIED');
    }
    if (subresource === 'eviction') await this.delete(type, key);
    return body;
  }

  async raw(method: string, path: string): Promise<unknown> {
    throw new Error(`The fake answers no raw requests: ${method} ${path}`);
  }

  #of(type: Pick<ResourceType, 'group' | 'resource'>): Map<string, Object_> {
    const id = resourceId(type);
    let objects = this.#objects.get(id);
    if (!objects) {
      objects = new Map();
      this.#objects.set(id, objects);
    }
    return objects;
  }

  #find(type: Pick<ResourceType, 'group' | 'resource'>, key: ObjectKey): Object_ {
    const object = this.#of(type).get(keyString(key));
    if (!object) throw notFound(type, key.name);
    return object;
  }

  #reach(): void {
    if (this.#outage) throw this.#outage;
  }

  #record(action: Action): void {
    this.actions.push(action);
    this.#reach();
    for (const reactor of [...this.#reactors]) {
      const err = reactor(action);
      if (err) throw err;
    }
  }

  #insert(type: ResourceType<unknown>, draft: KubeObject): Object_ {
    const object = structuredClone(draft) as Object_;
    const meta = object.metadata;
    object.apiVersion ??= apiVersionOf(type);
    object.kind ??= type.kind;
    meta.namespace ??= '';
    meta.uid ??= `uid-${++this.#uids}`;
    meta.creationTimestamp ??= new Date(this.#now()).toISOString();
    meta.generation ??= 1;
    return this.#put(type, object, 'ADDED');
  }

  #replace(
    type: ResourceType<unknown>,
    current: Object_,
    wanted: Object_,
    subresource: string,
  ): Object_ {
    const next: KubeObject =
      subresource === 'status'
        ? withStatus(structuredClone(current), wanted)
        : {
            ...wanted,
            ...('status' in current ? { status: structuredClone(current.status) } : {}),
          };
    const { uid, creationTimestamp, deletionTimestamp, generation } = current.metadata;
    const same = JSON.stringify(next.spec) === JSON.stringify(current.spec);
    next.metadata = {
      ...next.metadata,
      ...{ uid, creationTimestamp, generation: (generation ?? 1) + (same ? 0 : 1) },
      ...(deletionTimestamp ? { deletionTimestamp } : {}),
    };
    const done = deletionTimestamp && (next.metadata.finalizers ?? []).length === 0;
    const graceful = (current.metadata.deletionGracePeriodSeconds ?? 0) > 0;
    if (done && !graceful) return this.#remove(type, next as Object_);
    return this.#put(type, next as Object_, 'MODIFIED');
  }

  #put(
    type: Pick<ResourceType, 'group' | 'resource'>,
    object: Object_,
    event: 'ADDED' | 'MODIFIED',
  ): Object_ {
    object.metadata.resourceVersion = String(++this.#revision);
    this.#of(type).set(keyOfObject(object), object);
    this.#tell(type, event, object);
    return structuredClone(object);
  }

  #remove(type: Pick<ResourceType, 'group' | 'resource'>, object: Object_): Object_ {
    const last = structuredClone(object);
    last.metadata.resourceVersion = String(++this.#revision);
    this.#of(type).delete(keyOfObject(object));
    this.#tell(type, 'DELETED', last);
    return last;
  }

  #tell(
    type: Pick<ResourceType, 'group' | 'resource'>,
    event: 'ADDED' | 'MODIFIED' | 'DELETED',
    object: Object_,
  ): void {
    const change = { type: event, object: structuredClone(object) };
    this.#history.push({
      resource: resourceId(type),
      revision: this.#revision,
      event: change,
    });
    this.#wakeAll();
  }

  #wakeAll(): void {
    for (const wake of [...this.#watchers]) wake();
  }

  #changed(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const wake = () => {
        this.#watchers.delete(wake);
        signal.removeEventListener('abort', wake);
        resolve();
      };
      this.#watchers.add(wake);
      signal.addEventListener('abort', wake);
    });
  }
}

function resourceId(type: Pick<ResourceType, 'group' | 'resource'>): string {
  return `${type.resource}.${type.group}`;
}

function keyOfObject(object: Object_): string {
  return keyString({ namespace: object.metadata.namespace, name: object.metadata.name });
}

/** A status write takes annotations over too, as upstream's strategies do for most kinds. */
function withStatus(current: Object_, { status, metadata }: Object_): Object_ {
  const { annotations } = metadata;
  return {
    ...current,
    status,
    metadata: { ...current.metadata, ...(annotations ? { annotations } : {}) },
  };
}

function addFinalizer(object: Object_, name: string): void {
  const { metadata } = object;
  metadata.finalizers = [...new Set([...(metadata.finalizers ?? []), name])];
}

/** Only a Pod on a node that has not ended is given time. */
function graceOf(type: ResourceType<unknown>, object: Object_, options: DeleteOptions): number {
  if (type.resource !== 'pods') return 0;
  const spec = object.spec as { nodeName?: string; terminationGracePeriodSeconds?: number };
  const { phase } = (object.status ?? {}) as { phase?: string };
  if (!spec?.nodeName || phase === 'Succeeded' || phase === 'Failed') return 0;
  return options.gracePeriodSeconds ?? spec.terminationGracePeriodSeconds ?? 30;
}

function merge(target: unknown, patch: unknown): unknown {
  if (typeof patch !== 'object' || patch === null || Array.isArray(patch)) return patch;
  const out: Record<string, unknown> =
    typeof target === 'object' && target !== null && !Array.isArray(target)
      ? (target as Record<string, unknown>)
      : {};
  for (const [name, value] of Object.entries(patch)) {
    const key = MERGE_KEYS[name];
    if (value === null) delete out[name];
    else if (key && Array.isArray(value)) out[name] = mergeList(out[name], value, key);
    else out[name] = merge(out[name], value);
  }
  return out;
}

type Item = Record<string, unknown>;

/** The lists that callers of the fake patch strategically. */
const MERGE_KEYS: Readonly<Record<string, string>> = { ownerReferences: 'uid', conditions: 'type' };

function mergeList(target: unknown, patch: Item[], key: string): Item[] {
  const items = new Map(((target as Item[] | undefined) ?? []).map((item) => [item[key], item]));
  for (const { $patch, ...item } of patch) {
    if ($patch === 'delete') items.delete(item[key]);
    else items.set(item[key], { ...items.get(item[key]), ...item });
  }
  return [...items.values()];
}

function selected(object: Object_, options: ListOptions): boolean {
  const { namespace = '', labelSelector = '', fieldSelector = '' } = options;
  if (namespace !== '' && object.metadata.namespace !== namespace) return false;
  const labels = object.metadata.labels ?? {};
  return (
    terms(labelSelector).every(({ path, equal, value }) => (labels[path] === value) === equal) &&
    terms(fieldSelector).every(
      ({ path, equal, value }) => (fieldOf(object, path) === value) === equal,
    )
  );
}

function terms(selector: string): { path: string; equal: boolean; value: string }[] {
  return selector
    .split(',')
    .filter((term) => term !== '')
    .map((term) => {
      const [, path = '', operator = '=', value = ''] = /^([^=!]+)(!=|==?)(.*)$/.exec(term) ?? [];
      return { path, equal: operator !== '!=', value };
    });
}

function fieldOf(object: unknown, path: string): string {
  let at = object;
  for (const name of path.split('.')) at = (at as Record<string, unknown> | undefined)?.[name];
  return at === undefined ? '' : String(at);
}
