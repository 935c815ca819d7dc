import { alreadyExists, isAlreadyExists, isNotFound, notFound } from '../api/errors.ts';
import { keyString, type ObjectKey } from '../api/resource-types.ts';
import type { KubeObject } from '../api/types.ts';
import { isStorageError, StorageError } from '../storage/storage.ts';
import { cloneJson, jsonEqual } from '../util/json.ts';
import type { Admission, AdmissionRequest } from './admission.ts';
import {
  checkVersion,
  generateName,
  modified,
  prepareCreate,
  prepareUpdate,
  validateCreate,
  validateUpdate,
} from './before-write.ts';
import { convertAll } from './converted-cache.ts';
import {
  checkPreconditions,
  type DeleteOptions,
  decideDeletion,
  isReadyToVanish,
} from './deletion.ts';
import type { ResourceKind, Strategy, WriteContext } from './resource-kind.ts';
import { keepUnchangedTimes } from './server-side-apply.ts';
import { prefixOf, type State } from './state.ts';
import { asApiError } from './storage-errors.ts';
import { encodeForStore, parseObject, withRevision } from './stored-object.ts';
import { NO_RESERVATION, type Reservation, type WriteHooks } from './write-hooks.ts';

export interface Written {
  readonly object: KubeObject;
  /** As clients get it. */
  readonly bytes: Buffer;
}

export interface Update {
  readonly strategy: Strategy;
  readonly subresource: string;
  /** Makes the new object from the stored one, which it may change. Runs again after a lost race. */
  change(current: KubeObject): KubeObject | Promise<KubeObject>;
  /** The new object is made from the current one: the version that it carries pins nothing. */
  readonly isPatch?: boolean;
  /** A lost race is answered with a conflict instead of being retried, however the object names its version. */
  readonly once?: boolean;
}

/** What is to be written in the place of what. */
interface Replacement {
  readonly kind: ResourceKind;
  readonly key: ObjectKey;
  readonly update: Update;
  readonly old: KubeObject;
  readonly revision: number;
  /** `old` came from the store itself. */
  readonly fresh: boolean;
}

export type Deleted = { readonly gone: boolean; readonly object: KubeObject };

const GENERATED_NAME_TRIES = 8;

/** Writes of every kind: strategy, admission, validation, then compare-and-swap (upstream's generic registry store). */
export class ResourceStore {
  readonly #state: State;
  /** What every write goes through; requests that write nothing here ask it themselves. */
  readonly admission: Admission;
  readonly #hooks: WriteHooks;

  constructor(deps: { state: State; admission: Admission; hooks?: WriteHooks }) {
    this.#hooks = deps.hooks ?? new Map();
    this.#state = deps.state;
    this.admission = deps.admission;
  }

  /** The stored object and its revision, straight from the cache unless `fresh`. */
  async read(
    kind: ResourceKind,
    key: ObjectKey,
    fresh = false,
  ): Promise<{ object: KubeObject; revision: number }> {
    if (fresh) {
      const found = await this.#state.storage.get(storageKey(kind, key));
      if (!found) throw notFound(kind, key.name);
      const { bytes } = withRevision(found.value, found.revision);
      const stored = parseObject(bytes);
      const [object = stored] = await convertAll(kind, [stored]);
      return { object, revision: found.revision };
    }
    const cache = await this.#state.cache(kind);
    const entry = cache.get(keyString(key));
    if (!entry) throw notFound(kind, key.name);
    return { object: parseObject(entry.served.bytes), revision: entry.revision };
  }

  /** Like `read`, but absence is undefined: that of the store, where others may just have made what our cache lacks. */
  async find(kind: ResourceKind, key: ObjectKey): Promise<KubeObject | undefined> {
    const cache = await this.#state.cache(kind);
    const entry = cache.get(keyString(key));
    if (entry) return parseObject(entry.served.bytes);
    if (!this.#state.storage.newest) return undefined;
    try {
      return (await this.read(kind, key, true)).object;
    } catch (err) {
      if (isNotFound(err)) return undefined;
      throw asApiError(err);
    }
  }

  async create(kind: ResourceKind, object: KubeObject, context: WriteContext): Promise<Written> {
    await this.admission.mutate(admissionRequest(kind, 'CREATE', { object, context }));
    const { name, generateName: base } = object.metadata;
    if (name || !base) return await this.#create(kind, object, context);
    for (let tries = 1; ; tries++) {
      // What is taken for the object, such as its addresses, says whose it is: another name is another attempt.
      const named = cloneJson(object);
      named.metadata.name = generateName(base);
      try {
        return await this.#create(kind, named, context);
      } catch (err) {
        if (!isAlreadyExists(err) || tries >= GENERATED_NAME_TRIES) throw err;
      }
    }
  }

  async #create(kind: ResourceKind, object: KubeObject, context: WriteContext): Promise<Written> {
    const reservation = await this.#reserve(kind, object, undefined, context);
    try {
      prepareCreate(kind, object, context);
      validateCreate(kind, object, context);
      await this.admission.validate(admissionRequest(kind, 'CREATE', { object, context }));
      const made = await this.#insert(kind, object, context);
      await reservation.commit();
      return made;
    } catch (err) {
      await reservation.cancel();
      if (isStorageError(err, 'exists')) throw alreadyExists(kind, object.metadata.name ?? '');
      throw asApiError(err);
    }
  }

  update(
    kind: ResourceKind,
    key: ObjectKey,
    update: Update,
    context: WriteContext,
  ): Promise<Written> {
    return this.#decide(kind, key, async ({ object: old, ...from }) => {
      const changed = await update.change(cloneJson(old));
      checkVersion(kind, changed, old, update.strategy);
      const pinned = update.once || (!update.isPatch && !!changed.metadata.resourceVersion);
      try {
        return await this.#replace({ kind, key, update, old, ...from }, changed, context);
      } catch (err) {
        if (!pinned || !isStorageError(err, 'conflict') || err.revision === undefined) throw err;
        throw modified(kind, key.name);
      }
    });
  }

  delete(
    kind: ResourceKind,
    key: ObjectKey,
    options: DeleteOptions,
    context: WriteContext,
  ): Promise<Deleted> {
    return this.#decide(kind, key, async ({ object: old, revision, fresh }) => {
      checkPreconditions(kind, old, options);
      await this.admission.validate(admissionRequest(kind, 'DELETE', { old, context, key }));
      const decision = decideDeletion(kind, old, options, context.now);
      if (decision.action === 'nothing') {
        if (!fresh) await this.#assertCurrent(kind, key, revision);
        return { gone: false, object: old };
      }
      if (context.dryRun) return { gone: decision.action === 'remove', object: old };
      if (decision.action === 'remove') {
        await this.#remove(kind, key, old, revision);
        return { gone: true, object: old };
      }
      const { object } = await this.#write(kind, key, decision.object, revision);
      return { gone: false, object };
    });
  }

  /**
   * Acts on an object as our cache holds it, and on what the store holds after a lost race. Where others write into the store
   * as well, our cache may be behind it: then a refusal is worth nothing either.
   */
  async #decide<T>(
    kind: ResourceKind,
    key: ObjectKey,
    act: (from: { object: KubeObject; revision: number; fresh: boolean }) => Promise<T>,
  ): Promise<T> {
    for (let fresh = false; ; fresh = true) {
      let known: number | undefined;
      try {
        const found = await this.read(kind, key, fresh);
        known = found.revision;
        return await act({ ...found, fresh });
      } catch (err) {
        if (isStorageError(err, 'conflict')) continue;
        if (fresh || !(await this.#isBehind(kind, key, known))) throw asApiError(err);
      }
    }
  }

  /** Whether the store holds another state of an object than our cache. It cannot where nobody else writes into it. */
  async #isBehind(kind: ResourceKind, key: ObjectKey, known: number | undefined): Promise<boolean> {
    const { storage } = this.#state;
    if (!storage.newest) return false;
    const found = await storage.get(storageKey(kind, key)).catch((err: unknown) => {
      throw asApiError(err);
    });
    return found?.revision !== known;
  }

  /** Who finds nothing to do must not have looked at the past. */
  async #assertCurrent(kind: ResourceKind, key: ObjectKey, revision: number): Promise<void> {
    if (!(await this.#isBehind(kind, key, revision))) return;
    throw new StorageError('conflict', `Key has changed: ${storageKey(kind, key)}`);
  }

  #reserve(
    kind: ResourceKind,
    object: KubeObject,
    old: KubeObject | undefined,
    context: WriteContext,
  ): Promise<Reservation> {
    const hook = this.#hooks.get(`${kind.group}/${kind.resource}`);
    return hook ? hook.reserve(object, old, context) : Promise.resolve(NO_RESERVATION);
  }

  /** Removes an object for good. */
  async #remove(
    kind: ResourceKind,
    key: ObjectKey,
    object: KubeObject,
    revision: number,
  ): Promise<void> {
    await this.#state.until(await this.#state.storage.delete(storageKey(kind, key), revision));
    await this.#hooks.get(`${kind.group}/${kind.resource}`)?.release(object);
  }

  async #insert(kind: ResourceKind, object: KubeObject, context: WriteContext): Promise<Written> {
    const { name = '', namespace = '' } = object.metadata;
    const key = storageKey(kind, { name, namespace });
    if (context.dryRun) {
      if (await this.#state.storage.get(key)) throw new StorageError('exists', key);
      return { object, bytes: Buffer.from(JSON.stringify(object)) };
    }
    const stored = await this.#encode(kind, object);
    const revision = await this.#state.storage.create(key, stored, { ttlSeconds: kind.ttlSeconds });
    await this.#state.until(revision);
    return written(kind, object, stored, revision);
  }

  async #replace(target: Replacement, object: KubeObject, context: WriteContext): Promise<Written> {
    const { kind, update, old, revision } = target;
    const { subresource } = update;
    await this.admission.mutate(
      admissionRequest(kind, 'UPDATE', { object, old, context, subresource }),
    );
    object.metadata.resourceVersion = String(revision);
    const reservation =
      subresource === '' ? await this.#reserve(kind, object, old, context) : NO_RESERVATION;
    try {
      const written = await this.#store(target, object, context);
      await reservation.commit();
      return written;
    } catch (err) {
      await reservation.cancel();
      throw err;
    }
  }

  async #store(target: Replacement, object: KubeObject, context: WriteContext): Promise<Written> {
    const { kind, key, update, old, revision, fresh } = target;
    const { strategy, subresource } = update;
    prepareUpdate({ kind, strategy, object, old }, context);
    validateUpdate({ kind, strategy, object, old }, context);
    await this.admission.validate(
      admissionRequest(kind, 'UPDATE', { object, old, context, subresource }),
    );
    keepUnchangedTimes(old, object);
    const same = jsonEqual(object, old) && !(await this.#isStale(kind, key));
    if (same && !fresh) await this.#assertCurrent(kind, key, revision);
    if (context.dryRun || same) {
      return { object, bytes: Buffer.from(JSON.stringify(object)) };
    }
    if (isReadyToVanish(object)) {
      await this.#remove(kind, key, object, revision);
      return { object, bytes: Buffer.from(JSON.stringify(object)) };
    }
    return this.#write(kind, key, object, revision);
  }

  /** What was sealed with an old key, or stored in an old version, is written again when somebody writes it unchanged. */
  async #isStale(kind: ResourceKind, key: ObjectKey): Promise<boolean> {
    const { storage } = this.#state;
    if (await storage.isStale?.(storageKey(kind, key))) return true;
    if (!kind.conversion) return false;
    const stored = await storage.get(storageKey(kind, key));
    return (
      stored !== undefined && parseObject(stored.value).apiVersion !== kind.conversion.storedVersion
    );
  }

  async #write(
    kind: ResourceKind,
    key: ObjectKey,
    object: KubeObject,
    revision: number,
  ): Promise<Written> {
    const stored = await this.#encode(kind, object);
    const now = await this.#state.storage.update(storageKey(kind, key), stored, revision, {
      ttlSeconds: kind.ttlSeconds,
    });
    await this.#state.until(now);
    return written(kind, object, stored, now);
  }

  /** The bytes to store, in the version that is stored. */
  async #encode(kind: ResourceKind, object: KubeObject): Promise<Buffer> {
    if (kind.conversion) return encodeForStore(await kind.conversion.toStored(cloneJson(object)));
    const stored = encodeForStore(object);
    this.#state.remember(stored, object);
    return stored;
  }
}

function written(
  kind: ResourceKind,
  object: KubeObject,
  stored: Buffer,
  revision: number,
): Written {
  const own = kind.conversion ? encodeForStore(object) : stored;
  object.metadata.resourceVersion = String(revision);
  return { object, bytes: withRevision(own, revision).bytes };
}

export function storageKey(kind: ResourceKind, key: ObjectKey): string {
  return prefixOf(kind.storagePrefix) + keyString(key);
}

/** A request as admission sees it. */
export function admissionRequest(
  kind: ResourceKind,
  operation: AdmissionRequest['operation'],
  parts: {
    object?: KubeObject;
    old?: KubeObject;
    context: WriteContext;
    subresource?: string;
    key?: ObjectKey;
  },
): AdmissionRequest {
  const { object, old, context, subresource = '', key } = parts;
  const metadata = object?.metadata ?? old?.metadata;
  return {
    operation,
    kind,
    subresource,
    namespace: key?.namespace ?? metadata?.namespace ?? '',
    name: key?.name ?? metadata?.name ?? '',
    object,
    old,
    user: context.user,
    dryRun: context.dryRun,
    now: context.now,
    warn: context.warn,
    annotate: (name: string, value: string) => context.annotate?.(name, value),
  };
}
