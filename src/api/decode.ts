import type { Fractions } from '../util/exact-json.ts';
import { isObject, type JsonObject, put } from '../util/json.ts';
import { ApiError } from './errors.ts';
import { decodeScalar, GO_TYPES, goKind, shown } from './scalars.ts';
import type { Definition, Schema, TypeRef } from './schema.ts';

export interface DecodeOptions {
  readonly schema: Schema;
  /** The OpenAPI name of what `value` should be. */
  readonly definition: string;
  /**
   * Give required fields that are missing their zero value, as a round trip through upstream's types would. Not for
   * patches and apply configurations, where absence means something.
   */
  readonly complete?: boolean;
  /** Numbers that Go would not read into integers. */
  readonly fractions?: Fractions | undefined;
}

export interface Decoded {
  /** A copy with only known fields, quantities and times in canonical form, and no nulls. */
  readonly object: JsonObject;
  /** `unknown field "spec.foo"`, at most 100. */
  readonly unknown: string[];
}

/** The value does not have the type that the schema says; `message` is worded as Go's decoder words it. */
export class DecodeError extends Error {
  override readonly name = 'DecodeError';
  /** The same where data that is parsed already is converted: in the words of upstream's converter. */
  readonly conversion: string;

  constructor(message: string, conversion = message) {
    super(message);
    this.conversion = conversion;
  }
}

/** Where a value stands, for messages only: cheap to extend, spelled out when something is wrong. */
interface Place {
  readonly parent: Place | undefined;
  readonly key: string | number;
  /** The definition that has the field, as Go calls the struct. */
  readonly struct: string;
}

interface Walk {
  readonly schema: Schema;
  readonly complete: boolean;
  readonly unknown: string[];
  readonly fractions: Fractions | undefined;
}

const MAX_UNKNOWN = 100;

/**
 * Copies what the schema knows of a parsed body. Throws DecodeError for a value of the wrong type. Optional fields
 * that are null or empty (text, list, map) are left out, as upstream's encoder leaves them out.
 */
export function decodeObject(value: unknown, options: DecodeOptions): Decoded {
  const definition = options.schema.definition(options.definition);
  if (!definition) throw new RangeError(`unknown definition ${options.definition}`);
  const walk: Walk = {
    schema: options.schema,
    complete: options.complete ?? true,
    unknown: [],
    fractions: options.fractions,
  };
  if (!isObject(value)) {
    const type = goName(options.definition);
    throw new DecodeError(`json: cannot unmarshal ${shown(value)} into Go value of type ${type}`);
  }
  return { object: decodeFields(value, definition, undefined, walk), unknown: walk.unknown };
}

/** The 400 that a body of the wrong shape is answered with. */
export function cannotBeHandled(
  type: { version: string; kind: string },
  messages: readonly string[],
): ApiError {
  const { version, kind } = type;
  return new ApiError(
    'BadRequest',
    `${kind} in version ${JSON.stringify(version)} cannot be handled as a ${kind}: ${messages.join(', ')}`,
  );
}

function decodeFields(
  value: JsonObject,
  definition: Definition,
  place: Place | undefined,
  walk: Walk,
): JsonObject {
  const out: JsonObject = {};
  for (const key of Object.keys(value)) {
    const field = definition.fields.get(key);
    const here: Place = { parent: place, key, struct: definition.name };
    if (!field) {
      if (walk.unknown.length < MAX_UNKNOWN) walk.unknown.push(`unknown field "${pathOf(here)}"`);
      continue;
    }
    if (walk.fractions) refuseFraction(value, field.type, here, walk.fractions);
    const decoded = decodeValue(value[key], field.type, here, walk);
    if (decoded === undefined || (!field.required && isDropped(decoded, definition, key))) continue;
    put(out, key, decoded);
  }
  if (walk.complete) fillRequired(out, definition, walk);
  return out;
}

function decodeValue(value: unknown, type: TypeRef, place: Place, walk: Walk): unknown {
  if (value === null || value === undefined) return undefined;
  switch (type.kind) {
    case 'any':
      return value;
    case 'array':
      return decodeArray(value, type, place, walk);
    case 'map':
      return decodeMap(value, type, place, walk);
    case 'object':
      return decodeReference(value, type.name, place, walk);
    default: {
      const { decoded, problem } = decodeScalar(value, type.kind);
      if (problem === undefined) return decoded;
      throw problem === 'type' ? wrongType(value, type, place) : new DecodeError(problem);
    }
  }
}

type ListType = Extract<TypeRef, { readonly of: TypeRef }>;

function decodeArray(value: unknown, type: ListType, place: Place, walk: Walk): unknown[] {
  if (!Array.isArray(value)) throw wrongType(value, type, place);
  return value.map((item, index) => {
    const here: Place = { parent: place, key: index, struct: place.struct };
    if (walk.fractions) refuseFraction(value, type.of, here, walk.fractions);
    return decodeValue(item, type.of, here, walk) ?? zeroOf(type.of, walk);
  });
}

function decodeMap(value: unknown, type: ListType, place: Place, walk: Walk): JsonObject {
  if (!isObject(value)) throw wrongType(value, type, place);
  const out: JsonObject = {};
  for (const key of Object.keys(value)) {
    const here: Place = { parent: place, key, struct: place.struct };
    put(out, key, decodeValue(value[key], type.of, here, walk) ?? zeroOf(type.of, walk));
  }
  return out;
}

const INTEGERS: ReadonlySet<TypeRef['kind']> = new Set(['int32', 'int64', 'intOrString']);

function refuseFraction(holder: object, type: TypeRef, place: Place, fractions: Fractions): void {
  const source = fractions.get(holder)?.get(String(place.key));
  if (source === undefined || !INTEGERS.has(type.kind)) return;
  if (type.kind !== 'intOrString') throw unreadable(`number ${source}`, type, place);
  throw new DecodeError(`json: cannot unmarshal number ${source} into Go value of type int32`);
}

function decodeReference(value: unknown, name: string, place: Place, walk: Walk): unknown {
  const definition = walk.schema.definition(name);
  if (!definition) return value;
  if (!isObject(value)) throw wrongType(value, { kind: 'object', name }, place);
  return decodeFields(value, definition, place, walk);
}

/** Fields whose empty text means something else than absence: upstream has them as pointers. */
const EMPTY_TEXT_COUNTS: ReadonlySet<string> = new Set([
  'PersistentVolumeClaimSpec.storageClassName',
  'PersistentVolumeClaimSpec.volumeAttributesClassName',
  'PersistentVolumeSpec.volumeAttributesClassName',
  'HostPathVolumeSource.type',
  'GRPCAction.service',
  'EndpointPort.name',
  'EndpointPort.appProtocol',
  'ServicePort.appProtocol',
  'LeaseSpec.holderIdentity',
  'IngressSpec.ingressClassName',
  'TypedLocalObjectReference.apiGroup',
  'TypedObjectReference.apiGroup',
  'PodSpec.runtimeClassName',
  'PodSpec.hostnameOverride',
  'CronJobSpec.timeZone',
  'IngressClassParametersReference.apiGroup',
  'WindowsSecurityContextOptions.gmsaCredentialSpec',
  'WindowsSecurityContextOptions.gmsaCredentialSpecName',
  'WindowsSecurityContextOptions.runAsUserName',
]);

function isDropped(decoded: unknown, definition: Definition, key: string): boolean {
  if (decoded === '') {
    const struct = definition.name.slice(definition.name.lastIndexOf('.') + 1);
    return !EMPTY_TEXT_COUNTS.has(`${struct}.${key}`);
  }
  if (Array.isArray(decoded)) return decoded.length === 0;
  const type = definition.fields.get(key)?.type;
  return type?.kind === 'map' && Object.keys(decoded as object).length === 0;
}

function fillRequired(out: JsonObject, definition: Definition, walk: Walk): void {
  for (const [name, field] of definition.fields) {
    if (!field.required || Object.hasOwn(out, name)) continue;
    const zero = zeroOf(field.type, walk);
    if (zero !== undefined) out[name] = zero;
  }
}

/** What upstream's types hold when nothing was said. */
function zeroOf(type: TypeRef, walk: Walk): unknown {
  switch (type.kind) {
    case 'string':
    case 'bytes':
      return '';
    case 'boolean':
      return false;
    case 'int32':
    case 'int64':
    case 'double':
    case 'intOrString':
      return 0;
    case 'quantity':
      return '0';
    case 'array':
      return [];
    case 'map':
      return {};
    case 'object': {
      const definition = walk.schema.definition(type.name);
      const out: JsonObject = {};
      if (definition && walk.complete) fillRequired(out, definition, walk);
      return out;
    }
    default:
      return undefined;
  }
}

function wrongType(value: unknown, type: TypeRef, place: Place): DecodeError {
  return unreadable(shown(value), type, place, conversionProblem(value, type));
}

function unreadable(what: string, type: TypeRef, place: Place, conversion?: string): DecodeError {
  const struct = place.struct.slice(place.struct.lastIndexOf('.') + 1);
  const path = goPathOf(place);
  return new DecodeError(
    `json: cannot unmarshal ${what} into Go struct field ${struct}.${path} of type ${goType(type)}`,
    conversion,
  );
}

function conversionProblem(value: unknown, type: TypeRef): string {
  const found = goKind(value);
  if (type.kind === 'object') return `cannot restore struct from: ${found}`;
  if (type.kind === 'array') return `cannot restore slice from ${found}`;
  if (type.kind === 'map') return `cannot restore map from ${found}`;
  const wanted = GO_TYPES[type.kind];
  // Go knows conversions between numbers, and from whole numbers to text: then it is the value that does not fit.
  const isKnown = found === 'int64' ? wanted !== 'bool' : found === 'float64' && /\d/.test(wanted);
  return isKnown ? `cannot convert ${found} to ${wanted}` : `unrecognized type: ${wanted}`;
}

/** `spec.containers[0].image` */
function pathOf(place: Place): string {
  const head = place.parent === undefined ? '' : pathOf(place.parent);
  if (typeof place.key === 'number') return `${head}[${place.key}]`;
  return head === '' ? place.key : `${head}.${place.key}`;
}

/** Go's decoder tells the path without indexes. */
function goPathOf(place: Place): string {
  return pathOf(place).replace(/\[\d+\]/g, '');
}

function goType(type: TypeRef): string {
  if (type.kind === 'array') return `[]${goType(type.of)}`;
  if (type.kind === 'map') return `map[string]${goType(type.of)}`;
  return type.kind === 'object' ? goName(type.name) : GO_TYPES[type.kind];
}

/** `v1.PodSpec` */
function goName(definition: string): string {
  return definition.split('.').slice(-2).join('.');
}
