import { keyString, type ObjectKey } from '../api/resource-types.ts';
import type { StoredMeta } from '../api/types.ts';
import type { Informer } from '../client/client.ts';
import { keyOf } from '../client/indexer.ts';

interface HasMeta {
  readonly metadata: StoredMeta;
}

interface Written<T> {
  readonly key: ObjectKey;
  /** Undefined: deleted. */
  readonly object: T | undefined;
  readonly revision: number;
  /** A deletion: its own revision is not known, only the one of what was deleted. */
  readonly ends: boolean;
}

/**
 * What this process wrote and its informer has not shown yet, laid over the informer's objects: a reconcile that
 * follows at once sees its own writes, does not repeat them, and does not run into conflicts with itself.
 *
 * An answer and the event of the same write come by different ways: either may be first, and the object may be gone
 * for good before its answer arrives. So what was written counts only as long as the informer is behind it.
 */
export class Overlay<T extends HasMeta> {
  readonly #written = new Map<string, Written<T>>();

  readonly #informer: Informer<T>;

  constructor(informer: Informer<T>) {
    this.#informer = informer;
    const seen = (object: T) => this.#current(keyOf(object));
    informer.addHandler({ onAdd: seen, onUpdate: (_, object) => seen(object), onDelete: seen });
  }

  wrote(object: T): void {
    this.#note(object.metadata, { object, ends: false });
  }

  deleted(object: T): void {
    this.#note(object.metadata, { object: undefined, ends: true });
  }

  /** Told to go, and perhaps gone; until the informer says which, it is `object` with a time of deletion. */
  dismissed(object: T): void {
    this.#note(object.metadata, { object, ends: true });
  }

  /** The object as it is after our writes. */
  get(key: ObjectKey): T | undefined {
    const written = this.#current(keyString(key));
    return written ? written.object : this.#informer.get(key);
  }

  /** `objects` as they are after our writes; those that we created are added when `belongs` says so. */
  over(objects: readonly T[], belongs: (object: T) => boolean): T[] {
    if (this.#written.size === 0) return [...objects];
    const merged = new Map(objects.map((object) => [keyOf(object), object]));
    for (const key of this.#written.keys()) {
      const written = this.#current(key);
      if (!written) continue;
      if (written.object === undefined) merged.delete(key);
      else if (belongs(written.object)) merged.set(key, written.object);
    }
    return [...merged.values()];
  }

  #note(
    { namespace, name, resourceVersion }: StoredMeta,
    what: Pick<Written<T>, 'object' | 'ends'>,
  ): void {
    const key = { namespace: namespace ?? '', name };
    this.#written.set(keyString(key), { key, revision: Number(resourceVersion), ...what });
    this.#current(keyString(key));
  }

  /** What we wrote there and the informer does not show yet. */
  #current(key: string): Written<T> | undefined {
    const written = this.#written.get(key);
    if (!written || !this.#shows(written)) return written;
    this.#written.delete(key);
    return undefined;
  }

  /** Revisions of one kind are ordered numbers (KEP-5504). */
  #shows({ key, revision, ends }: Written<T>): boolean {
    const object = this.#informer.get(key);
    // The informer shows a deleted object at its last revision until it learns of the deletion.
    if (ends && object) return Number(object.metadata.resourceVersion) > revision;
    if (object && Number(object.metadata.resourceVersion) >= revision) return true;
    return this.#informer.revision >= revision;
  }
}
