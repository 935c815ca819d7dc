import { type FieldError, forbidden, invalid, required } from '../../api/field-errors.ts';
import { isObject } from '../../util/json.ts';
import { linearRegExp } from '../../util/linear-regexp.ts';
import type { JsonSchema } from './json-schema.ts';
import { checkMapKeys, checkMetadata, checkSetItems, checkUnsupported } from './unsupported.ts';
import { validateValue } from './validate.ts';

const TYPES = ['array', 'boolean', 'integer', 'number', 'object', 'string'];
/** Deeper schemas serve nobody but those who want to exhaust the server. */
const MAX_DEPTH = 100;

/** What keeps a schema from being structural, or from being usable (apiextensions schema.ValidateStructural). */
export function checkStructural(schema: JsonSchema, path: string): FieldError[] {
  const root = schema.type === 'object' ? [] : [rootType(schema, path)];
  return [...root, ...checkNode(schema, path, 0)];
}

function rootType({ type }: JsonSchema, path: string): FieldError {
  if (type === undefined || type === '') {
    return required(`${path}.type`, 'must not be empty at the root');
  }
  return invalid(`${path}.type`, type, 'must be "object" at the root');
}

function checkNode(schema: JsonSchema, path: string, depth: number): FieldError[] {
  if (depth > MAX_DEPTH)
    return [invalid(path, '', `must not be nested more than ${MAX_DEPTH} levels`)];
  return [
    ...checkType(schema, path, depth),
    ...checkUnsupported(schema, path),
    ...(depth === 0 || schema['x-kubernetes-embedded-resource'] ? checkMetadata(schema, path) : []),
    ...checkExtensions(schema, path),
    ...checkConstraints(schema, path),
    ...checkJunctors(schema, path),
    ...children(schema, path).flatMap(([child, at]) => checkNode(child, at, depth + 1)),
  ];
}

/** The schemas directly below: those that say what a value is made of. */
export function children(schema: JsonSchema, path: string): [JsonSchema, string][] {
  const found: [JsonSchema, string][] = Object.entries(schema.properties ?? {}).map(
    ([key, property]) => [property, `${path}.properties[${key}]`],
  );
  const rest = schema.additionalProperties;
  if (isObject(rest)) found.push([rest as JsonSchema, `${path}.additionalProperties`]);
  if (isObject(schema.items)) found.push([schema.items, `${path}.items`]);
  return found;
}

function checkType(schema: JsonSchema, path: string, depth: number): FieldError[] {
  const { type } = schema;
  if (type === undefined || type === '') {
    const isFree =
      schema['x-kubernetes-int-or-string'] || schema['x-kubernetes-preserve-unknown-fields'];
    if (isFree || depth === 0) return [];
    return [required(`${path}.type`, 'must not be empty for specified object fields')];
  }
  if (!TYPES.includes(type)) {
    return [invalid(`${path}.type`, type, `must be one of ${TYPES.join(', ')}`)];
  }
  if (type === 'array' && !schema.items) return [required(`${path}.items`, 'must be specified')];
  return [];
}

function checkExtensions(schema: JsonSchema, path: string): FieldError[] {
  const errors: FieldError[] = [];
  if (schema.properties && schema.additionalProperties !== undefined) {
    errors.push(
      forbidden(
        `${path}.additionalProperties`,
        'additionalProperties and properties are mutual exclusive',
      ),
    );
  }
  if (schema.additionalProperties === false) {
    errors.push(
      forbidden(`${path}.additionalProperties`, 'additionalProperties cannot be set to false'),
    );
  }
  if (schema['x-kubernetes-embedded-resource'] && schema.type !== 'object') {
    errors.push(
      invalid(
        `${path}.type`,
        schema.type ?? '',
        'must be object if x-kubernetes-embedded-resource is true',
      ),
    );
  }
  if (schema.uniqueItems) {
    errors.push(
      forbidden(
        `${path}.uniqueItems`,
        'uniqueItems cannot be set to true since the runtime complexity becomes quadratic',
      ),
    );
  }
  return [...errors, ...checkListType(schema, path)];
}

function checkListType(schema: JsonSchema, path: string): FieldError[] {
  const listType = schema['x-kubernetes-list-type'];
  if (listType === undefined) return [];
  if (schema.type !== 'array') {
    return [
      invalid(
        `${path}.type`,
        schema.type ?? '',
        'must be array if x-kubernetes-list-type is specified',
      ),
    ];
  }
  if (listType === 'set') return checkSetItems(schema, path);
  if (listType !== 'map') return [];
  const keys = schema['x-kubernetes-list-map-keys'] ?? [];
  if (keys.length === 0) {
    return [
      required(
        `${path}.x-kubernetes-list-map-keys`,
        'must not be empty if x-kubernetes-list-type is map',
      ),
    ];
  }
  const missing = keys.flatMap((key, i) =>
    Object.hasOwn(schema.items?.properties ?? {}, key)
      ? []
      : [
          invalid(
            `${path}.x-kubernetes-list-map-keys[${i}]`,
            key,
            'entries must all be names of item properties',
          ),
        ],
  );
  return [...missing, ...checkMapKeys(schema, keys, path)];
}

function checkConstraints(schema: JsonSchema, path: string): FieldError[] {
  const errors: FieldError[] = [];
  if (schema.pattern !== undefined) {
    try {
      linearRegExp(schema.pattern);
    } catch (err) {
      const why = err instanceof Error ? err.message : String(err);
      errors.push(
        invalid(
          `${path}.pattern`,
          schema.pattern,
          `must be a valid regular expression, but isn't: ${why}`,
        ),
      );
    }
  }
  if (schema.default !== undefined && errors.length === 0) {
    for (const { message } of validateValue(schema, { value: schema.default, path: '' })) {
      errors.push({ type: 'FieldValueInvalid', field: `${path}.default`, message });
    }
  }
  return errors;
}

/** Below allOf, anyOf, oneOf and not, a schema may constrain values but not say what they are made of. */
function checkJunctors(schema: JsonSchema, path: string): FieldError[] {
  const lists = (['allOf', 'anyOf', 'oneOf'] as const).flatMap((name) =>
    (schema[name] ?? []).map((one, i) => [one, `${path}.${name}[${i}]`] as const),
  );
  const all = schema.not ? [...lists, [schema.not, `${path}.not`] as const] : lists;
  const allowsType = schema['x-kubernetes-int-or-string'] === true;
  return all.flatMap(([one, at]) =>
    (['description', 'default', 'additionalProperties', 'nullable', 'type'] as const).flatMap(
      (field) =>
        one[field] === undefined || (field === 'type' && allowsType)
          ? []
          : [forbidden(`${at}.${field}`, 'must be empty to be structural')],
    ),
  );
}
