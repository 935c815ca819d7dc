import type { ApiError } from '../api/errors.ts';
import { type CacheEvent, fieldOf } from './cache-entry.ts';

/** What an event must have for a watcher to be asked at all. */
export interface WatchScope {
  /** Empty: all namespaces. */
  readonly namespace: string;
  /** A field that must have this value: the narrowest of the selector's. */
  readonly field?: { readonly name: string; readonly value: string } | undefined;
}

export interface Watcher {
  readonly scope: WatchScope;
  offer(event: CacheEvent): void;
  /** The watch ends with this error. */
  fail?(err: ApiError): void;
  /** Events before this revision are not known any more. Told to those that lag. */
  forgotten?(floor: number): void;
}

/**
 * Watchers by what they ask for, so that an event costs only those who may want it: a kubelet's watch on
 * spec.nodeName is one look-up in a map, however many kubelets there are.
 */
export class WatcherIndex {
  readonly #all = new Set<Watcher>();
  readonly #byNamespace = new Map<string, Set<Watcher>>();
  readonly #byField = new Map<string, Map<string, Set<Watcher>>>();
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** Answers how to remove it again. */
  add(watcher: Watcher): () => void {
    const home = this.#homeOf(watcher.scope);
    home.add(watcher);
    this.#size++;
    return () => {
      if (!home.delete(watcher)) return;
      this.#size--;
      if (home.size === 0) this.#forget(watcher.scope, home);
    };
  }

  /**
   * How many hear of a change of one object, about: of those that ask for a value of a field, which is not known yet,
   * the watchers of one value stand for the others.
   */
  interestedIn({ namespace, name }: { namespace: string; name: string }): number {
    let count = this.#all.size + (this.#byNamespace.get(namespace)?.size ?? 0);
    for (const [field, values] of this.#byField) {
      const [first] = values.values();
      count += (field === 'metadata.name' ? values.get(name) : first)?.size ?? 0;
    }
    return count;
  }

  *all(): Iterable<Watcher> {
    yield* this.#all;
    for (const watchers of this.#byNamespace.values()) yield* watchers;
    for (const values of this.#byField.values()) {
      for (const watchers of values.values()) yield* watchers;
    }
  }

  offer(event: CacheEvent): void {
    offerAll(this.#all, event);
    offerAll(this.#byNamespace.get(event.entry.namespace), event);
    for (const [field, values] of this.#byField) {
      const now = fieldOf(event.entry, field);
      offerAll(values.get(now), event);
      const before = event.previous && fieldOf(event.previous, field);
      if (before !== undefined && before !== now) offerAll(values.get(before), event);
    }
  }

  #homeOf({ namespace, field }: WatchScope): Set<Watcher> {
    if (field) return getOrAdd(getOrAdd(this.#byField, field.name, newMap), field.value, newSet);
    return namespace === '' ? this.#all : getOrAdd(this.#byNamespace, namespace, newSet);
  }

  #forget({ namespace, field }: WatchScope, home: Set<Watcher>): void {
    if (!field) {
      if (this.#byNamespace.get(namespace) === home) this.#byNamespace.delete(namespace);
      return;
    }
    const values = this.#byField.get(field.name);
    if (values?.get(field.value) !== home) return;
    values.delete(field.value);
    if (values.size === 0) this.#byField.delete(field.name);
  }
}

const newSet = (): Set<Watcher> => new Set();
const newMap = (): Map<string, Set<Watcher>> => new Map();

function getOrAdd<V>(map: Map<string, V>, key: string, make: () => V): V {
  let value = map.get(key);
  if (value === undefined) {
    value = make();
    map.set(key, value);
  }
  return value;
}

function offerAll(watchers: Set<Watcher> | undefined, event: CacheEvent): void {
  if (watchers) for (const watcher of watchers) watcher.offer(event);
}
