import { type CelEnvironment, celEnvironment } from '../../cel/cel.ts';
import { identifier } from '../../cel/identifiers.ts';
import { celEqual, toCel } from '../../cel/values.ts';
import { isObject, type JsonObject, put } from '../../util/json.ts';
import { type JsonSchema, memberSchema } from './json-schema.ts';
import { children } from './structural.ts';

type Fields = Record<string, string>;
interface ObjectType {
  readonly name: string;
  readonly construct: new () => JsonObject;
}

/** What rules see of an object's metadata. */
const METADATA: JsonSchema = {
  type: 'object',
  properties: { name: { type: 'string' }, generateName: { type: 'string' } },
};
const TEXT: JsonSchema = { type: 'string' };

/** The types that CEL rules give to the values of a schema, so that a rule about a field that is not there is refused. */
export class CelTypes {
  readonly #environment = celEnvironment();
  readonly #objects = new Map<JsonSchema, ObjectType>();
  readonly #scopes = new Map<string, CelEnvironment>();
  readonly #root: JsonSchema;

  constructor(schema: JsonSchema) {
    this.#root = schema;
    this.#declare(schema);
  }

  /** An environment where `self` and `oldSelf` are values of `schema`. */
  scope(schema: JsonSchema, optionalOldSelf: boolean): CelEnvironment {
    const type = this.#typeOf(schema);
    const old = optionalOldSelf ? `optional<${type}>` : type;
    const known = this.#scopes.get(old);
    if (known) return known;
    const scope = this.#environment.clone();
    scope.registerVariable('self', type);
    scope.registerVariable('oldSelf', old);
    this.#scopes.set(old, scope);
    return scope;
  }

  /** A value as rules see it: typed by its schema, with field names that are CEL identifiers. */
  valueOf(value: unknown, schema: JsonSchema | undefined): unknown {
    if (typeof value === 'number' || typeof value === 'bigint') {
      return schema?.type === 'number' ? Number(value) : toCel(value);
    }
    if (typeof value === 'string') return textOf(value, schema);
    if (Array.isArray(value)) return value.map((item) => this.valueOf(item, schema?.items));
    if (!isObject(value)) return value;
    if (schema === undefined) return toCel(value);
    const type = this.#objects.get(schema);
    const converted: JsonObject = type ? new type.construct() : {};
    for (const key of Object.keys(value)) {
      const member = this.#member(schema, key);
      if (type && member === undefined) continue;
      put(converted, type ? identifier(key) : key, this.valueOf(value[key], member));
    }
    return converted;
  }

  #member(schema: JsonSchema, key: string): JsonSchema | undefined {
    if (this.#isResource(schema)) {
      if (key === 'metadata') return METADATA;
      if (key === 'apiVersion' || key === 'kind') return TEXT;
    }
    return memberSchema(schema, key);
  }

  #isResource(schema: JsonSchema): boolean {
    return schema === this.#root || schema['x-kubernetes-embedded-resource'] === true;
  }

  /** Declares the types of objects bottom up: a field's type must be known first. */
  #declare(schema: JsonSchema): void {
    for (const [child] of children(schema, '')) this.#declare(child);
    const properties = schema.properties ?? {};
    const isResource = this.#isResource(schema);
    if (schema.type !== 'object' || (Object.keys(properties).length === 0 && !isResource)) return;
    if (isResource && !this.#objects.has(METADATA)) this.#declare(METADATA);
    const fields: Fields = Object.create(null);
    for (const [key, member] of Object.entries(properties)) {
      fields[identifier(key)] = this.#typeOf(member);
    }
    if (isResource) {
      Object.assign(fields, { apiVersion: 'string', kind: 'string' });
      fields.metadata = this.#typeOf(METADATA);
    }
    this.#objects.set(schema, this.#register(fields));
  }

  #register(fields: Fields): ObjectType {
    const name = `object.T${this.#objects.size}`;
    const construct = class {} as ObjectType['construct'];
    this.#environment.registerType({ name, ctor: construct, fields });
    this.#environment.registerOperator(`${name} == ${name}`, celEqual);
    return { name, construct };
  }

  #typeOf(schema: JsonSchema): string {
    if (schema.nullable || schema['x-kubernetes-int-or-string']) return 'dyn';
    switch (schema.type) {
      case 'integer':
        return 'int';
      case 'number':
        return 'double';
      case 'boolean':
        return 'bool';
      case 'string':
        return TEXT_TYPES[schema.format ?? ''] ?? 'string';
      case 'array':
        return `list<${schema.items ? this.#typeOf(schema.items) : 'dyn'}>`;
      case 'object':
        return this.#objects.get(schema)?.name ?? this.#mapType(schema);
      default:
        return 'dyn';
    }
  }

  #mapType({ additionalProperties }: JsonSchema): string {
    if (!isObject(additionalProperties)) return 'dyn';
    return `map<string, ${this.#typeOf(additionalProperties as JsonSchema)}>`;
  }
}

const TEXT_TYPES: Readonly<Record<string, string>> = {
  date: 'google.protobuf.Timestamp',
  'date-time': 'google.protobuf.Timestamp',
  duration: 'google.protobuf.Duration',
  byte: 'bytes',
};

const durations = celEnvironment().registerVariable('text', 'string').parse('duration(text)');

function textOf(text: string, schema: JsonSchema | undefined): unknown {
  if (schema?.nullable) return text;
  switch (schema?.format) {
    case 'date':
    case 'date-time':
      return new Date(text);
    case 'duration':
      return durations({ text });
    case 'byte':
      return new Uint8Array(Buffer.from(text, 'base64'));
    default:
      return text;
  }
}
