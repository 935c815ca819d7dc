import { keyString, type ObjectKey } from '../api/resource-types.ts';
import type { StoredMeta } from '../api/types.ts';
import type { Informer } from '../client/client.ts';
import { keyOf } from '../client/indexer.ts';

interface HasMeta {
  readonly metadata: StoredMeta;
}

/**
 * What this process wrote and its informer has not shown yet, laid over the informer's objects: a reconcile that
 * follows at once sees its own writes, does not repeat them, and does not run into conflicts with itself.
 */
export class Overlay<T extends HasMeta> {
  /** Undefined: deleted. */
  readonly #written = new Map<string, { object: T | undefined; revision: number }>();

  readonly #informer: Informer<T>;

  constructor(informer: Informer<T>) {
    this.#informer = informer;
    informer.addHandler({
      onAdd: (object) => this.#seen(object),
      onUpdate: (_, object) => this.#seen(object),
      onDelete: (object) => this.#written.delete(keyOf(object)),
    });
  }

  wrote(object: T): void {
    this.#written.set(keyOf(object), { object, revision: revisionOf(object) });
  }

  deleted(object: T): void {
    this.#written.set(keyOf(object), { object: undefined, revision: revisionOf(object) });
  }

  /** The object as it is after our writes. */
  get(key: ObjectKey): T | undefined {
    const written = this.#written.get(keyString(key));
    return written ? written.object : this.#informer.get(key);
  }

  /** `objects` as they are after our writes; those that we created are added when `belongs` says so. */
  over(objects: readonly T[], belongs: (object: T) => boolean): T[] {
    if (this.#written.size === 0) return [...objects];
    const merged = new Map(objects.map((object) => [keyOf(object), object]));
    for (const [key, { object }] of this.#written) {
      if (object === undefined) merged.delete(key);
      else if (belongs(object)) merged.set(key, object);
    }
    return [...merged.values()];
  }

  /** Revisions of one kind are ordered numbers (KEP-5504). */
  #seen(object: T): void {
    const key = keyOf(object);
    const written = this.#written.get(key);
    if (!written) return;
    // The informer shows a deleted object at its last revision until it learns of the deletion.
    const shown = revisionOf(object) - written.revision;
    if (shown > 0 || (written.object && shown === 0)) this.#written.delete(key);
  }
}

function revisionOf(object: HasMeta): number {
  return Number(object.metadata.resourceVersion);
}
