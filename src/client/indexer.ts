import { keyString, type ObjectKey } from '../api/resource-types.ts';
import type { ObjectMeta } from '../api/types.ts';
import type { Lister } from './client.ts';

interface HasMeta {
  metadata: ObjectMeta;
}

type IndexFn<T> = (object: T) => string[];

interface Index<T> {
  readonly valuesOf: IndexFn<T>;
  readonly keysByValue: Map<string, Set<string>>;
}

/** `NAMESPACE/NAME` of an object. */
export function keyOf(object: unknown): string {
  const { namespace = '', name = '' } = (object as HasMeta).metadata;
  return keyString({ namespace, name });
}

/** Objects by key, by namespace and by any number of indexes. Every read is answered without a scan of other objects. */
export class Indexer<T> implements Lister<T> {
  readonly #objects = new Map<string, T>();
  readonly #indexes = new Map<string, Index<T>>([
    ['namespace', { valuesOf: (object) => [namespaceOf(object)], keysByValue: new Map() }],
  ]);

  addIndex(name: string, valuesOf: IndexFn<T>): void {
    if (this.#objects.size > 0) throw new Error(`Index ${name} added after objects`);
    this.#indexes.set(name, { valuesOf, keysByValue: new Map() });
  }

  get size(): number {
    return this.#objects.size;
  }

  keys(): Iterable<string> {
    return this.#objects.keys();
  }

  get(key: ObjectKey): T | undefined {
    return this.#objects.get(keyString(key));
  }

  list(namespace = ''): T[] {
    if (namespace === '') return [...this.#objects.values()];
    return this.byIndex('namespace', namespace);
  }

  byIndex(name: string, value: string): T[] {
    const index = this.#indexes.get(name);
    if (!index) throw new Error(`No index ${name}`);
    const found: T[] = [];
    for (const key of index.keysByValue.get(value) ?? []) {
      const object = this.#objects.get(key);
      if (object !== undefined) found.push(object);
    }
    return found;
  }

  /** Answers what was there before. */
  set(object: T): T | undefined {
    const key = keyOf(object);
    const before = this.#objects.get(key);
    if (before !== undefined) this.#unindex(key, before);
    this.#objects.set(key, object);
    for (const { valuesOf, keysByValue } of this.#indexes.values()) {
      for (const value of valuesOf(object)) {
        const keys = keysByValue.get(value);
        if (keys) keys.add(key);
        else keysByValue.set(value, new Set([key]));
      }
    }
    return before;
  }

  /** Answers what was there before. */
  delete(key: string): T | undefined {
    const before = this.#objects.get(key);
    if (before === undefined) return undefined;
    this.#unindex(key, before);
    this.#objects.delete(key);
    return before;
  }

  #unindex(key: string, object: T): void {
    for (const { valuesOf, keysByValue } of this.#indexes.values()) {
      for (const value of valuesOf(object)) {
        const keys = keysByValue.get(value);
        keys?.delete(key);
        if (keys?.size === 0) keysByValue.delete(value);
      }
    }
  }
}

function namespaceOf(object: unknown): string {
  return (object as HasMeta).metadata.namespace ?? '';
}
