import { badRequest } from '../../api/errors.ts';
import type { Field, Schema, TypeRef } from '../../api/schema.ts';
import { cloneJson, isObject, type JsonObject, own, put } from '../../util/json.ts';
import {
  DELETION_PREFIX,
  ORDER_PREFIX,
  RETAIN_KEYS,
  unknownDirective,
  withoutDirectives,
} from './directives.ts';
import { mergeList, type ObjectMerger, orderElements } from './strategic-lists.ts';

/**
 * Applies a strategic merge patch by the merge keys of the schema and answers the new object; shares nothing
 * with its arguments. Directives: `$patch` (replace, delete), `$retainKeys`, `$setElementOrder/FIELD`,
 * `$deleteFromPrimitiveList/FIELD`. A malformed patch is a BadRequest, an unknown directive Invalid.
 *
 * Upstream: apimachinery util/strategicpatch, and the design "preserve order in strategic merge patch".
 */
export function applyStrategicMergePatch(
  document: JsonObject,
  patch: unknown,
  of: { readonly schema: Schema; readonly definition: string },
): JsonObject {
  if (!isObject(patch)) throw badRequest('invalid JSON document');
  const merge = objectMerger(of.schema);
  return merge(cloneJson(document), cloneJson(patch), { kind: 'object', name: of.definition });
}

/** Both arguments of the merger are its own to change. */
function objectMerger(schema: Schema): ObjectMerger {
  const merge: ObjectMerger = (original, patch, type) => {
    if (Object.hasOwn(patch, '$patch')) return wholeObject(patch);
    retainKeys(original, patch);
    applyOrders(original, patch, type);
    for (const key of Object.keys(patch)) {
      if (key.startsWith(DELETION_PREFIX)) deleteScalars(original, key, patch[key]);
      else mergeField(original, patch, key, type);
    }
    return original;
  };

  function mergeField(original: JsonObject, patch: JsonObject, key: string, type: TypeRef): void {
    const value = patch[key];
    if (value === null) {
      delete original[key];
      return;
    }
    const before = own(original, key);
    const field = fieldOf(schema, type, key);
    if (isObject(before) && isObject(value)) {
      const merged = replaces(field) ? withoutDirectives(value) : merge(before, value, field.type);
      put(original, key, merged);
    } else if (Array.isArray(before) && Array.isArray(value) && merges(field)) {
      put(original, key, mergeList(before, value, field, merge));
    } else {
      put(original, key, withoutDirectives(value));
    }
  }

  /** `$setElementOrder/FIELD` merges and orders FIELD; both leave the patch. */
  function applyOrders(original: JsonObject, patch: JsonObject, type: TypeRef): void {
    for (const directive of Object.keys(patch)) {
      if (!directive.startsWith(ORDER_PREFIX)) continue;
      const key = directive.slice(ORDER_PREFIX.length);
      const lists = {
        live: listOf(own(original, key)),
        change: listOf(own(patch, key)),
        order: listOf(patch[directive]),
      };
      const isPresent = Object.hasOwn(original, key) || Object.hasOwn(patch, key);
      delete patch[directive];
      delete patch[key];
      const field = fieldOf(schema, type, key);
      if (isPresent && merges(field)) put(original, key, orderElements(lists, field, merge));
      else if (isPresent) put(original, key, withoutDirectives(lists.change));
    }
  }

  return merge;
}

function wholeObject(patch: JsonObject): JsonObject {
  const directive = patch.$patch;
  if (directive === 'replace') {
    delete patch.$patch;
    return withoutDirectives(patch);
  }
  if (directive === 'delete') return {};
  throw unknownDirective(directive);
}

function listOf(value: unknown): unknown[] {
  if (value === undefined) return [];
  if (!Array.isArray(value)) throw badRequest('invalid patch format of setElementOrder list');
  return value;
}

/** Drops what the directive does not list. Everything that the patch sets must be listed. */
function retainKeys(original: JsonObject, patch: JsonObject): void {
  if (!Object.hasOwn(patch, RETAIN_KEYS)) return;
  const listed = patch[RETAIN_KEYS];
  delete patch[RETAIN_KEYS];
  const bad = () => badRequest('invalid patch format of retainKeys');
  if (!Array.isArray(listed)) throw bad();
  const kept = new Set<unknown>(listed);
  for (const key of Object.keys(patch)) {
    const isDirective = key.startsWith(DELETION_PREFIX) || key.startsWith(ORDER_PREFIX);
    if (patch[key] !== null && !isDirective && !kept.has(key)) throw bad();
  }
  for (const key of Object.keys(original)) if (!kept.has(key)) delete original[key];
}

function deleteScalars(original: JsonObject, directive: string, values: unknown): void {
  const key = directive.slice(DELETION_PREFIX.length);
  const before = own(original, key);
  if (values === null || before === undefined) return;
  if (!Array.isArray(values) || !Array.isArray(before) || key === '') {
    throw badRequest('invalid patch format of primitive list');
  }
  const gone = new Set<unknown>(values);
  const kept = before.filter((value) => !gone.has(value));
  put(original, key, kept);
}

const FREE_FORM: TypeRef = { kind: 'any' };
const UNKNOWN_FIELD: Field = { type: FREE_FORM, description: '', required: false };

/** The field `key` of a value of type `type`. Below free-form values objects merge and lists are replaced. */
function fieldOf(schema: Schema, type: TypeRef, key: string): Field {
  if (type.kind === 'map') return { ...UNKNOWN_FIELD, type: type.of };
  if (type.kind !== 'object') return UNKNOWN_FIELD;
  return schema.definition(type.name)?.fields.get(key) ?? UNKNOWN_FIELD;
}

function strategies(field: Field): string[] {
  return field.patchStrategy?.split(',') ?? [];
}

function replaces(field: Field): boolean {
  return strategies(field).includes('replace');
}

function merges(field: Field): boolean {
  return strategies(field).includes('merge');
}
