import { type CacheEntry, createEntry } from './cache-entry.ts';
import { convertAll } from './converted-cache.ts';
import type { ResourceKind } from './resource-kind.ts';
import { prefixOf, type State } from './state.ts';
import { encodeForStore, parseObject } from './stored-object.ts';

/** A past revision of a kind's objects, from behind a key on. */
export interface PastRange {
  readonly revision: number;
  readonly after: string | undefined;
  /** Empty: all. */
  readonly namespace: string;
  /** How many are read from the store at a time. */
  readonly step: number;
  /** Whether `unread` is to be exact. */
  readonly count: boolean;
}

/**
 * The objects of a kind as they were at a past revision, from the store's history, each with how many follow it. Read in
 * steps, so that a page costs what it shows. Fails with the storage's `compacted`.
 */
export async function* pastEntries(
  state: State,
  kind: ResourceKind,
  range: PastRange,
): AsyncGenerator<{ entry: CacheEntry; unread: number }> {
  const { revision, namespace, step, count } = range;
  const root = prefixOf(kind.storagePrefix);
  const prefix = namespace === '' ? root : `${root}${namespace}/`;
  const fieldsOf = kind.conversion ? kind.fieldsOf : state.fieldsOf(kind.storagePrefix);
  let { after } = range;
  for (;;) {
    const { items, remaining } = await state.storage.list(prefix, {
      ...{ revision, limit: step, count },
      ...(after === undefined ? {} : { after: root + after }),
    });
    const values = await inOwnVersion(kind, items);
    for (const [i, { key, revision: own }] of items.entries()) {
      const stored = values[i] ?? Buffer.alloc(0);
      after = key.slice(root.length);
      const entry = createEntry({ key: after, stored, revision: own }, fieldsOf);
      yield { entry, unread: items.length - i - 1 + remaining };
    }
    if (remaining === 0) return;
  }
}

/** Stored objects as the kind's cache would hold them. */
async function inOwnVersion(
  kind: ResourceKind,
  items: readonly { readonly value: Buffer }[],
): Promise<Buffer[]> {
  if (!kind.conversion) return items.map(({ value }) => value);
  const objects = items.map(({ value }) => parseObject(value));
  return (await convertAll(kind, objects)).map(encodeForStore);
}
