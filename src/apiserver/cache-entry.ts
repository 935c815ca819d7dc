import type { KubeObject } from '../api/types.ts';
import { parseObject, replaceRevision, type ServedBytes, withRevision } from './stored-object.ts';

/** One object as the API server keeps it: the bytes that clients get, and what selectors ask for. Immutable. */
export interface CacheEntry {
  /** NAMESPACE/NAME, or NAME. */
  readonly key: string;
  readonly namespace: string;
  readonly name: string;
  readonly revision: number;
  readonly served: ServedBytes;
  readonly labels: Readonly<Record<string, string>> | undefined;
  /** Values of the selectable fields besides metadata.name and metadata.namespace. */
  readonly fields: Readonly<Record<string, string>> | undefined;
}

export type CacheEventType = 'ADDED' | 'MODIFIED' | 'DELETED';

/** A change of one object. */
export interface CacheEvent {
  readonly type: CacheEventType;
  readonly revision: number;
  /** For DELETED: the last state, under the revision of the removal. */
  readonly entry: CacheEntry;
  /** The state before; absent for ADDED. */
  readonly previous: CacheEntry | undefined;
}

type FieldsOf = ((object: KubeObject) => Readonly<Record<string, string>>) | undefined;

/** `parsed` saves parsing when the writer has it at hand. */
export function createEntry(
  source: { key: string; stored: Buffer; revision: number; parsed?: KubeObject | undefined },
  fieldsOf: FieldsOf,
): CacheEntry {
  const { key, stored, revision } = source;
  const object = source.parsed ?? parseObject(stored);
  const slash = key.indexOf('/');
  return {
    key,
    namespace: slash < 0 ? '' : key.slice(0, slash),
    name: slash < 0 ? key : key.slice(slash + 1),
    revision,
    served: withRevision(stored, revision),
    labels: object.metadata.labels,
    fields: fieldsOf?.(object),
  };
}

/** The same state under a later revision: what watchers see of an object that is gone. */
export function atRevision(entry: CacheEntry, revision: number): CacheEntry {
  return { ...entry, revision, served: replaceRevision(entry.served, revision) };
}

/** The value of a selectable field. */
export function fieldOf(entry: CacheEntry, field: string): string {
  if (field === 'metadata.name') return entry.name;
  if (field === 'metadata.namespace') return entry.namespace;
  return entry.fields?.[field] ?? '';
}
