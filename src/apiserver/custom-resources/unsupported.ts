import {
  type FieldError,
  forbidden,
  invalid,
  notSupported,
  required,
} from '../../api/field-errors.ts';
import type { JsonSchema, ValidationRule } from './json-schema.ts';

// What a schema may not say although JSON Schema knows it, and what its extensions ask of each other.

const UNSUPPORTED = [
  '$ref',
  'id',
  'additionalItems',
  'patternProperties',
  'definitions',
  'dependencies',
] as const;

export function checkUnsupported(schema: JsonSchema, path: string): FieldError[] {
  const said = schema as Readonly<Record<string, unknown>>;
  const errors = UNSUPPORTED.filter((name) => said[name] !== undefined && said[name] !== '').map(
    (name) => forbidden(`${path}.${name}`, `${name} is not supported`),
  );
  if (schema['x-kubernetes-preserve-unknown-fields'] === false) {
    const field = `${path}.x-kubernetes-preserve-unknown-fields`;
    errors.push(invalid(field, false, 'must be true or undefined'));
  }
  const mapType = schema['x-kubernetes-map-type'];
  if (mapType !== undefined && mapType !== 'atomic' && mapType !== 'granular') {
    const field = `${path}.x-kubernetes-map-type`;
    errors.push(notSupported(field, mapType, ['atomic', 'granular']));
  }
  return errors;
}

/** Metadata is that of every object: a schema may only narrow its names. */
export function checkMetadata(schema: JsonSchema, path: string): FieldError[] {
  const metadata = schema.properties?.metadata;
  if (!metadata) return [];
  const { type: _t, description: _d, properties = {}, ...rest } = metadata;
  const others = Object.keys(properties).filter((key) => key !== 'name' && key !== 'generateName');
  if (others.length === 0 && Object.keys(rest).length === 0) return [];
  const detail =
    'must not specify anything other than name and generateName, but metadata is implicitly specified';
  return [forbidden(`${path}.properties[metadata]`, detail)];
}

/** Items of a set are compared as a whole, so nobody may own a part of one. */
export function checkSetItems({ items }: JsonSchema, path: string): FieldError[] {
  const detail = 'must be atomic as item of a list with x-kubernetes-list-type=set';
  const listType = items?.['x-kubernetes-list-type'];
  if (items?.type === 'array' && listType !== undefined && listType !== 'atomic') {
    return [invalid(`${path}.items.x-kubernetes-list-type`, listType, detail)];
  }
  if (items?.type === 'object' && items['x-kubernetes-map-type'] !== 'atomic') {
    return [invalid(`${path}.items.x-kubernetes-map-type`, listType, detail)];
  }
  return [];
}

/** Items of a list that is a map have their keys, or get them. */
export function checkMapKeys(
  schema: JsonSchema,
  keys: readonly string[],
  path: string,
): FieldError[] {
  const { items } = schema;
  if (!items) return [];
  if (items.type !== 'object') {
    const detail = "must be object if parent array's x-kubernetes-list-type is map";
    return [invalid(`${path}.items.type`, items.type ?? '', detail)];
  }
  return keys.flatMap((key) => {
    const property = items.properties?.[key];
    if (!property || property.default !== undefined || items.required?.includes(key)) return [];
    const detail =
      'this property is in x-kubernetes-list-map-keys, so it must have a default or be a required property';
    return [required(`${path}.items.properties[${key}].default`, detail)];
  });
}

const REASONS = [
  'FieldValueRequired',
  'FieldValueForbidden',
  'FieldValueInvalid',
  'FieldValueDuplicate',
];

/** What is wrong with how a rule tells that it does not hold. */
export function checkRuleWords(
  { rule, message = '', reason, fieldPath }: ValidationRule,
  schema: JsonSchema,
  path: string,
): FieldError[] {
  const errors: FieldError[] = [];
  if (message.includes('\n')) {
    errors.push(invalid(`${path}.message`, message, 'message must not contain line breaks'));
  } else if (message !== '' && message.trim() === '') {
    const detail = 'message must be non-empty if specified';
    errors.push(invalid(`${path}.message`, message, detail));
  }
  if (rule?.trim().includes('\n') && message === '') {
    const detail = 'message must be specified if rule contains line breaks';
    errors.push(required(`${path}.message`, detail));
  }
  if (reason !== undefined && !REASONS.includes(reason)) {
    errors.push(notSupported(`${path}.reason`, reason, REASONS));
  }
  if (fieldPath !== undefined && fieldPath !== '' && !schemaAt(schema, fieldPath)) {
    const detail = 'fieldPath must be a valid path: does not refer to a valid field';
    errors.push(invalid(`${path}.fieldPath`, fieldPath, detail));
  }
  return errors;
}

const STEP = /\.([A-Za-z0-9_-]+)|\[(?:'((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)")\]/y;

/** The schema of the field that a path of members leads to. Undefined for other paths, and where there is none. */
export function schemaAt(schema: JsonSchema, path: string): JsonSchema | undefined {
  let found: JsonSchema | undefined = schema;
  for (let at = 0; at < path.length; at = STEP.lastIndex) {
    STEP.lastIndex = at;
    const step = STEP.exec(path);
    if (!step || !found) return undefined;
    const key = step[1] ?? step[2] ?? step[3] ?? '';
    const { properties = {}, additionalProperties: rest }: JsonSchema = found;
    if (Object.hasOwn(properties, key)) found = properties[key];
    else found = typeof rest === 'object' ? rest : undefined;
  }
  return found;
}
