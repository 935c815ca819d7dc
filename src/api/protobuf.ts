import { parseJson } from '../util/exact-json.ts';
import { type JsonObject, own, put } from '../util/json.ts';
import {
  definitionName,
  type NumberedField,
  type NumberedFields,
  numberedFields,
  shortName,
} from './protobuf-fields.ts';
import { LENGTH, ProtobufError, ProtobufReader, readMessage } from './protobuf-reader.ts';
import type { Definition, Field, Schema, TypeRef } from './schema.ts';

/** The envelope of what generated Go clients send is `k8s\0` and a runtime.Unknown message (apimachinery serializer/protobuf). */
const MAGIC = Buffer.from('k8s\0');
// Deeper than any built-in type but CustomResourceDefinition's schemas, which upstream also bounds.
const MAX_DEPTH = 200;

/**
 * The plain JSON form of an object in Kubernetes' protocol buffer encoding. Throws ProtobufError for broken bytes
 * and for types that have no protocol buffer form here (custom resources have none anywhere).
 */
export function decodeProtobuf(bytes: Buffer, schema: Schema): JsonObject {
  if (!bytes.subarray(0, MAGIC.length).equals(MAGIC)) {
    throw new ProtobufError('provided data does not appear to be a protobuf message');
  }
  const { apiVersion, kind, raw } = readEnvelope(bytes.subarray(MAGIC.length));
  const definition = definitionOf(apiVersion, kind, schema);
  if (!definition) {
    throw new ProtobufError(`no kind "${kind}" is registered for version "${apiVersion}"`);
  }
  const object: JsonObject = { apiVersion, kind };
  new MessageDecoder(schema).message(raw, definition, object);
  return object;
}

function readEnvelope(bytes: Buffer) {
  const envelope = { apiVersion: '', kind: '', raw: Buffer.alloc(0) as Buffer };
  readMessage(bytes, {
    1: (reader) =>
      readMessage(reader.bytes(), {
        1: (type) => {
          envelope.apiVersion = type.text();
        },
        2: (type) => {
          envelope.kind = type.text();
        },
      }),
    2: (reader) => {
      envelope.raw = reader.bytes();
    },
  });
  return envelope;
}

/** A group's package is its first label: `rbac` for rbac.authorization.k8s.io. */
function definitionOf(apiVersion: string, kind: string, schema: Schema): Definition | undefined {
  const slash = apiVersion.indexOf('/');
  const group = slash < 0 ? 'core' : (apiVersion.slice(0, slash).split('.')[0] ?? '');
  const version = apiVersion.slice(slash + 1);
  return (
    schema.definition(definitionName(`${group}.${version}.${kind}`)) ??
    schema.definition(definitionName(`meta.v1.${kind}`))
  );
}

class MessageDecoder {
  readonly #schema: Schema;
  #depth = 0;

  constructor(schema: Schema) {
    this.#schema = schema;
  }

  /** Adds the message's fields to `target`. */
  message(bytes: Buffer, definition: Definition, target: JsonObject): void {
    const numbers = numberedFields(shortName(definition.name));
    if (!numbers) throw new ProtobufError(`${definition.name} has no protobuf form`);
    this.#fields(bytes, { numbers, definition }, target);
  }

  #fields(
    bytes: Buffer,
    type: { numbers: NumberedFields; definition: Definition },
    target: JsonObject,
  ): void {
    if (++this.#depth > MAX_DEPTH) throw new ProtobufError('exceeded max depth');
    const reader = new ProtobufReader(bytes);
    while (!reader.done) {
      const { number, wire } = reader.tag();
      const known = type.numbers.get(number);
      const field = known && type.definition.fields.get(known.name);
      if (known?.inlined) {
        const numbers = numberedFields(known.name) ?? new Map();
        this.#fields(reader.bytes(), { numbers, definition: type.definition }, target);
      } else if (known && field) this.#field(reader, { known, field, wire }, target);
      else reader.skip(wire);
    }
    this.#depth--;
  }

  #field(
    reader: ProtobufReader,
    { known, field, wire }: { known: NumberedField; field: Field; wire: number },
    target: JsonObject,
  ): void {
    const { name } = known;
    const special = SCHEMA_UNIONS[name];
    if (special && field.type.kind !== 'object' && isUntyped(field.type)) {
      this.#union(reader, { name, special }, target);
      return;
    }
    const { type } = field;
    if (type.kind === 'array') {
      const list = (own(target, name) ?? []) as unknown[];
      if (wire === LENGTH && isNumber(type.of)) unpack(reader.bytes(), type.of, list);
      else list.push(this.#value(reader, type.of));
      put(target, name, list);
    } else if (type.kind === 'map') {
      const map = (own(target, name) ?? {}) as JsonObject;
      this.#entry(reader.bytes(), type.of, map);
      put(target, name, map);
    } else {
      const value = this.#value(reader, type);
      if (known.pointer || field.required || !isZero(value)) put(target, name, value);
    }
  }

  #entry(bytes: Buffer, of: TypeRef, map: JsonObject): void {
    let key = '';
    let value: unknown = of.kind === 'array' ? [] : '';
    readMessage(bytes, {
      1: (reader) => {
        key = reader.text();
      },
      2: (reader) => {
        value = of.kind === 'array' ? this.#items(reader.bytes(), of.of) : this.#value(reader, of);
      },
    });
    put(map, key, value);
  }

  /** Lists as map values are wrapped: a message whose field 1 repeats (ExtraValue). */
  #items(bytes: Buffer, of: TypeRef): unknown[] {
    const items: unknown[] = [];
    readMessage(bytes, { 1: (reader) => items.push(this.#value(reader, of)) });
    return items;
  }

  #value(reader: ProtobufReader, type: TypeRef): unknown {
    switch (type.kind) {
      case 'string':
        return reader.text();
      case 'boolean':
        return reader.varint() !== 0n;
      case 'int32':
      case 'int64':
        return reader.integer();
      case 'double':
        return reader.double();
      case 'bytes':
        return reader.bytes().toString('base64');
      case 'quantity':
        return readQuantity(reader.bytes());
      case 'time':
      case 'microTime':
        return readTime(reader.bytes(), type.kind === 'microTime' ? 6 : 0);
      case 'intOrString':
        return readIntOrString(reader.bytes());
      case 'any':
        return readRaw(reader.bytes());
      case 'object':
        return this.#object(reader.bytes(), type.name);
      default:
        throw new ProtobufError(`no protobuf form of a nested ${type.kind}`);
    }
  }

  #object(bytes: Buffer, name: string): JsonObject {
    const definition = this.#schema.definition(name);
    if (!definition) throw new ProtobufError(`${name} is not known`);
    const object: JsonObject = {};
    this.message(bytes, definition, object);
    return object;
  }

  /** JSONSchemaProps' fields that hold a schema or something else (JSONSchemaPropsOr…). */
  #union(
    reader: ProtobufReader,
    { name, special }: { name: string; special: Union },
    target: JsonObject,
  ): void {
    if (special !== 'strings') {
      put(target, name, this.#unionValue(reader.bytes(), special));
      return;
    }
    const map = (own(target, name) ?? {}) as JsonObject;
    let key = '';
    readMessage(reader.bytes(), {
      1: (entry) => {
        key = entry.text();
      },
      2: (entry) => put(map, key, this.#unionValue(entry.bytes(), special)),
    });
    put(target, name, map);
  }

  #unionValue(bytes: Buffer, special: Union): unknown {
    let schema: unknown;
    let other: unknown = special === 'bool' ? false : [];
    const readSchema = (reader: ProtobufReader) => {
      schema = this.#object(reader.bytes(), SCHEMA_PROPS);
    };
    if (special === 'bool') {
      const allows = (reader: ProtobufReader) => {
        other = reader.varint() !== 0n;
      };
      readMessage(bytes, { 1: allows, 2: readSchema });
    } else {
      const add = (reader: ProtobufReader) => {
        const item =
          special === 'strings' ? reader.text() : this.#object(reader.bytes(), SCHEMA_PROPS);
        other = [...(other as unknown[]), item];
      };
      readMessage(bytes, { 1: readSchema, 2: add });
    }
    return schema ?? other;
  }
}

type Union = 'array' | 'bool' | 'strings';

const SCHEMA_PROPS = 'io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaProps';
const SCHEMA_UNIONS: Readonly<Record<string, Union>> = {
  __proto__: null as never,
  items: 'array',
  additionalProperties: 'bool',
  additionalItems: 'bool',
  dependencies: 'strings',
};

function isUntyped(type: TypeRef): boolean {
  return type.kind === 'any' || (type.kind === 'map' && type.of.kind === 'any');
}

function isNumber(type: TypeRef): boolean {
  return type.kind === 'int32' || type.kind === 'int64' || type.kind === 'double';
}

/** Repeated numbers may come in one packed value. */
function unpack(bytes: Buffer, of: TypeRef, into: unknown[]): void {
  const reader = new ProtobufReader(bytes);
  while (!reader.done) into.push(of.kind === 'double' ? reader.double() : reader.integer());
}

/** Go's encoder writes fields that are not pointers even when nothing was set. */
function isZero(value: unknown): boolean {
  if (value === undefined || value === '' || value === 0 || value === false) return true;
  return typeof value === 'object' && value !== null && Object.keys(value).length === 0;
}

function readQuantity(bytes: Buffer): string {
  let text = '';
  readMessage(bytes, {
    1: (reader) => {
      text = reader.text();
    },
  });
  return text;
}

/** RFC 3339 with so many digits of a second; undefined for Go's zero time. */
function readTime(bytes: Buffer, digits: number): string | undefined {
  if (bytes.length === 0) return undefined;
  let seconds = 0;
  let nanos = 0;
  readMessage(bytes, {
    1: (reader) => {
      seconds = Number(reader.integer());
    },
    2: (reader) => {
      nanos = Number(reader.integer());
    },
  });
  const whole = new Date(seconds * 1000);
  if (Number.isNaN(whole.getTime())) throw new ProtobufError(`no such time: ${seconds} s`);
  const text = whole.toISOString().slice(0, 19);
  const fraction = String(nanos).padStart(9, '0').slice(0, digits);
  return digits === 0 ? `${text}Z` : `${text}.${fraction}Z`;
}

function readIntOrString(bytes: Buffer): number | string {
  let isString = false;
  let int = 0;
  let text = '';
  readMessage(bytes, {
    1: (reader) => {
      isString = reader.integer() === 1;
    },
    2: (reader) => {
      int = Number(reader.integer());
    },
    3: (reader) => {
      text = reader.text();
    },
  });
  return isString ? text : int;
}

/** Free-form JSON is carried as its text in field 1 (RawExtension, FieldsV1, JSON). */
function readRaw(bytes: Buffer): unknown {
  let raw = 'null';
  readMessage(bytes, {
    1: (reader) => {
      raw = reader.text();
    },
  });
  try {
    return parseJson(raw);
  } catch (err) {
    throw new ProtobufError('free-form JSON is broken', { cause: err });
  }
}
