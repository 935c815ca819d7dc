import { type CacheEntry, fieldOf } from './cache-entry.ts';

/** A value that entries must have for a selection: of a label, or of a selectable field. */
export interface IndexedValue {
  readonly of: 'label' | 'field';
  readonly name: string;
  readonly value: string;
}

// Indexes of one kind. Clients choose label names: they must not be able to fill the memory with indexes.
const MOST = 16;

const NONE: ReadonlySet<CacheEntry> = new Set();

type Index = Map<string, Set<CacheEntry>>;

/**
 * Entries by the values that selectors ask for. An index is made when a selector first asks for its label or field, and
 * kept true from then on; of too many, the one that was not asked for longest goes.
 */
export class EntryIndexes {
  /** In the order of their last use. */
  readonly #indexes = new Map<string, Index>();

  get size(): number {
    return this.#indexes.size;
  }

  /** The entries with this value, in no order. `all` are those that a new index is made of. */
  lookUp(wanted: IndexedValue, all: readonly CacheEntry[]): ReadonlySet<CacheEntry> {
    const name = `${wanted.of} ${wanted.name}`;
    const index = this.#indexes.get(name) ?? make(wanted, all);
    this.#indexes.delete(name);
    this.#indexes.set(name, index);
    for (const oldest of this.#indexes.keys()) {
      if (this.#indexes.size <= MOST) break;
      this.#indexes.delete(oldest);
    }
    return index.get(wanted.value) ?? NONE;
  }

  /** An entry has taken the place of another; either may be absent. */
  replace(before: CacheEntry | undefined, after: CacheEntry | undefined): void {
    for (const [name, index] of this.#indexes) {
      const space = name.indexOf(' ');
      const key = { of: name.slice(0, space) as IndexedValue['of'], name: name.slice(space + 1) };
      if (before) remove(index, indexedIn(key, before), before);
      if (after) add(index, indexedIn(key, after), after);
    }
  }

  clear(): void {
    this.#indexes.clear();
  }
}

function make(wanted: IndexedValue, all: readonly CacheEntry[]): Index {
  const index: Index = new Map();
  for (const entry of all) add(index, indexedIn(wanted, entry), entry);
  return index;
}

/** Absent labels have no value; absent fields have the empty one. */
function indexedIn(
  { of, name }: Pick<IndexedValue, 'of' | 'name'>,
  entry: CacheEntry,
): string | undefined {
  if (of === 'field') return fieldOf(entry, name);
  return entry.labels && Object.hasOwn(entry.labels, name) ? entry.labels[name] : undefined;
}

function add(index: Index, value: string | undefined, entry: CacheEntry): void {
  if (value === undefined) return;
  const entries = index.get(value);
  if (entries) entries.add(entry);
  else index.set(value, new Set([entry]));
}

function remove(index: Index, value: string | undefined, entry: CacheEntry): void {
  if (value === undefined) return;
  const entries = index.get(value);
  if (entries?.delete(entry) && entries.size === 0) index.delete(value);
}
