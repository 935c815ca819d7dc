import { badRequest } from '../api/errors.ts';
import { type FieldRequirement, parseFieldSelector } from '../api/fields.ts';
import { matches, parseSelector, type Selector } from '../api/labels.ts';
import { errorMessage } from '../util/errors.ts';
import { type CacheEntry, fieldOf } from './cache-entry.ts';
import type { IndexedValue } from './entry-indexes.ts';
import type { RequestInfo } from './request-info.ts';
import type { ResourceKind } from './resource-kind.ts';
import type { WatchScope } from './watcher-index.ts';

/** Which objects of a kind a list, watch or deletecollection is about. */
export interface Selection {
  readonly namespace: string;
  readonly labels: Selector;
  readonly fields: readonly FieldRequirement[];
}

/** From the path and the query. A name in the path (GET …/NAME?watch=1) selects like metadata.name. */
export function parseSelection(
  info: RequestInfo,
  query: URLSearchParams,
  kind: ResourceKind,
): Selection {
  const fields = parseFields(query.get('fieldSelector') ?? '', kind);
  if (info.name !== '') fields.push({ field: 'metadata.name', operator: '=', value: info.name });
  return {
    namespace: info.namespace,
    labels: parseLabels(query.get('labelSelector') ?? ''),
    fields,
  };
}

function parseLabels(text: string): Selector {
  if (text === '') return [];
  try {
    return parseSelector(text);
  } catch (err) {
    throw badRequest(errorMessage(err));
  }
}

function parseFields(text: string, kind: ResourceKind): FieldRequirement[] {
  if (text === '') return [];
  let fields: FieldRequirement[];
  try {
    fields = [...parseFieldSelector(text)];
  } catch (err) {
    throw badRequest(errorMessage(err));
  }
  const known = new Set(['metadata.name', ...(kind.namespaced ? ['metadata.namespace'] : [])]);
  for (const name of selectableFields(kind)) known.add(name);
  for (const { field } of fields) {
    if (!known.has(field)) throw badRequest(`field label not supported: ${field}`);
  }
  return fields;
}

/** The names that `fieldsOf` answers, read off an empty object. */
function selectableFields(kind: ResourceKind): string[] {
  if (!kind.fieldsOf) return [];
  const { apiVersion, kind: name } = { apiVersion: '', kind: kind.kind };
  return Object.keys(kind.fieldsOf({ apiVersion, kind: name, metadata: {} }));
}

/** True when nothing but the namespace decides. */
export function selectsAll({ labels, fields }: Selection): boolean {
  return labels.length === 0 && fields.length === 0;
}

export function selectsEntry(selection: Selection, entry: CacheEntry): boolean {
  const { namespace, labels, fields } = selection;
  if (namespace !== '' && entry.namespace !== namespace) return false;
  for (const { field, operator, value } of fields) {
    if ((fieldOf(entry, field) === value) !== (operator === '=')) return false;
  }
  return labels.length === 0 || matches(labels, entry.labels);
}

/** The single object that a selection can be about. */
export function selectedName({ fields }: Selection): string | undefined {
  return fields.find((f) => f.field === 'metadata.name' && f.operator === '=')?.value;
}

/** The value that narrows a selection most, as far as its words tell; undefined when there is none. */
export function indexedValue({ fields, labels }: Selection): IndexedValue | undefined {
  const field = fields.find((f) => f.operator === '=' && f.field !== 'metadata.namespace');
  if (field) return { of: 'field', name: field.field, value: field.value };
  const label = labels.find((l) => EQUALITY.has(l.operator) && l.values.length === 1);
  return label && { of: 'label', name: label.key, value: label.values[0] ?? '' };
}

const EQUALITY = new Set(['=', '==', 'in']);

export function scopeOf({ namespace, fields }: Selection): WatchScope {
  const exact = fields.find((f) => f.operator === '=' && f.field !== 'metadata.namespace');
  return { namespace, field: exact && { name: exact.field, value: exact.value } };
}
