import { builtinSchema } from '../api/builtin-schema.ts';
import { cannotBeHandled, type Decoded, DecodeError, decodeObject } from '../api/decode.ts';
import { type DecodedText, decodeJson, decodeYaml } from '../api/encoding.ts';
import { ApiError, badRequest } from '../api/errors.ts';
import { invalid, invalidObject } from '../api/field-errors.ts';
import { apiVersionOf } from '../api/resource-types.ts';
import type { Schema } from '../api/schema.ts';
import type { KubeObject } from '../api/types.ts';
import { readBody } from '../http/body.ts';
import type { Fractions } from '../util/exact-json.ts';
import { isObject, type JsonObject } from '../util/json.ts';
import type { Exchange } from './exchange.ts';
import { fieldProblems } from './field-problems.ts';
import type { ResourceKind } from './resource-kind.ts';
import type { FieldValidation } from './write-options.ts';

/** Upstream's limit of a request body. */
const MAX_BODY_BYTES = 3 * 1024 * 1024;
const JSON_TYPE = 'application/json';
const YAML_TYPE = 'application/yaml';
const PROTOBUF_TYPE = 'application/vnd.kubernetes.protobuf';
const BODY_TYPES = [JSON_TYPE, YAML_TYPE, PROTOBUF_TYPE];

export interface DecodeRules {
  readonly schema: Schema;
  readonly kind: ResourceKind;
  readonly fieldValidation: FieldValidation;
  /** The data is a patched object: what is wrong with it, is wrong with the patch. */
  readonly patch?: PatchInWords;
}

/** How upstream tells what is wrong with a patch. */
export interface PatchInWords {
  /** What it shows: the patch; absent: what it made of the object. */
  readonly shown?: string;
  /** What the patch says twice, and what it says that no patch knows. */
  readonly problems: readonly string[];
}

/** The media type of a body, without parameters. Absent: JSON. */
export function contentTypeOf({ req }: Exchange): string {
  const header = req.headers['content-type'] ?? '';
  return (header.split(';')[0] ?? '').trim().toLowerCase() || JSON_TYPE;
}

export function unsupportedMediaType(supported: readonly string[]): ApiError {
  return new ApiError(
    'UnsupportedMediaType',
    `the body of the request was in an unknown format - accepted media types include: ${supported.join(', ')}`,
  );
}

/** The whole body of a request, which the audit log may want to show. */
export async function requestBody({ req, audit }: Exchange): Promise<Buffer> {
  const body = await readBody(req, MAX_BODY_BYTES);
  audit?.sawRequest(body);
  return body;
}

/** The body as plain JSON data, whatever its encoding. Undefined for an empty one. */
export async function readData(
  exchange: Exchange,
  findDuplicates = false,
): Promise<DecodedText | undefined> {
  const type = contentTypeOf(exchange);
  if (!BODY_TYPES.includes(type)) throw unsupportedMediaType(BODY_TYPES);
  const body = await requestBody(exchange);
  if (body.length === 0) return undefined;
  if (type === PROTOBUF_TYPE) return readProtobuf(body);
  const text = body.toString();
  return type === JSON_TYPE ? decodeJson(text, findDuplicates) : await decodeYaml(text);
}

/** What generated Go clients send. Loaded when the first of them comes. */
async function readProtobuf(body: Buffer): Promise<DecodedText> {
  const { decodeProtobuf } = await import('../api/protobuf.ts');
  const { ProtobufError } = await import('../api/protobuf-reader.ts');
  try {
    return { value: decodeProtobuf(body, builtinSchema()), duplicates: [] };
  } catch (err) {
    if (err instanceof ProtobufError) throw badRequest(err.message);
    throw err;
  }
}

/** The body as an object of `kind`, with known fields only. What it leaves out of apiVersion and kind is filled in. */
export async function readObject(exchange: Exchange, rules: DecodeRules): Promise<KubeObject> {
  const { kind, fieldValidation } = rules;
  const data = await readData(exchange, fieldValidation !== 'Ignore');
  if (!isObject(data?.value)) {
    throw badRequest(
      `the object provided is unrecognized (must be of type ${kind.kind}): couldn't get version/kind; json parse error: unexpected end of JSON input`,
    );
  }
  checkType(data.value, kind);
  return decodeTyped(data.value, data, rules, exchange.warnings);
}

/** What a sub-resource's body is to be: a type that is not stored itself. */
export interface BodyType {
  readonly group: string;
  readonly version: string;
  readonly kind: string;
  /** `io.k8s.api.core.v1.Binding` */
  readonly definition: string;
}

/** The body as an object of a type that no kind declares. */
export async function readObjectAs(
  { schema }: { schema: Schema },
  exchange: Exchange,
  type: BodyType,
): Promise<KubeObject> {
  const { value = {}, fractions } = (await readData(exchange)) ?? {};
  if (!isObject(value)) throw badRequest(`the body is no ${type.kind}`);
  const name = value.kind ?? type.kind;
  if (name !== type.kind) {
    throw badRequest(`${name} cannot be handled as a ${type.kind}: unknown conversion`);
  }
  const { object } = decode(value, schema, type, fractions);
  const { metadata = {}, ...rest } = object;
  return { ...rest, apiVersion: apiVersionOf(type), kind: type.kind, metadata } as KubeObject;
}

/** Fails when plain data says that it is of another type; fills in what it leaves out. */
export function checkType(data: JsonObject, kind: ResourceKind): void {
  const expected = apiVersionOf(kind);
  const { apiVersion = expected, kind: name = kind.kind } = data;
  if (name !== kind.kind) {
    const version = String(apiVersion).split('/').at(-1) ?? '';
    throw badRequest(
      `${name} in version ${JSON.stringify(version)} cannot be handled as a ${kind.kind}: converting (${version}.${name}) to (${kind.version}.${kind.kind}): unknown conversion`,
    );
  }
  if (apiVersion !== expected) {
    throw badRequest(
      `the API version in the data (${apiVersion}) does not match the expected API version (${expected})`,
    );
  }
  data.apiVersion = expected;
  data.kind = kind.kind;
}

/** For what no text says. */
export const NOTHING_NOTED: Noted = { duplicates: [] };

/** What is known of a text besides its data. */
export type Noted = Omit<DecodedText, 'value'>;

/** Plain data as an object of its kind: pruned, canonical, defaulted. Unknown fields are refused or warned of. */
export function decodeTyped(
  data: JsonObject,
  noted: Noted,
  rules: DecodeRules,
  warnings: string[],
): KubeObject {
  const { kind, fieldValidation } = rules;
  const decoded = kind.custom?.decode(data) ?? decodeAs(data, rules, noted.fractions);
  const problems =
    fieldValidation === 'Ignore'
      ? undefined
      : fieldProblems(noted, {
          unknown: decoded.unknown,
          patch: rules.patch?.problems,
          isCustom: kind.custom !== undefined,
        });
  if (problems && fieldValidation === 'Strict') throw strictError(data, problems.error, rules);
  if (problems) warnings.push(...problems.warnings);
  const object = decoded.object as KubeObject;
  object.metadata ??= {};
  kind.strategy.default?.(object);
  return object;
}

function strictError(data: JsonObject, why: string, { kind, patch }: DecodeRules): ApiError {
  return patch ? invalidPatch(data, patch, why) : cannotBeHandled(kind, [why]);
}

function invalidPatch(data: JsonObject, { shown }: PatchInWords, why: string): ApiError {
  const error = invalid('patch', shown ?? JSON.stringify(data), why);
  return invalidObject({ group: '', kind: '' }, '', [error]);
}

function decode(data: JsonObject, schema: Schema, kind: BodyType, fractions?: Fractions) {
  try {
    return decodeObject(data, { schema, definition: kind.definition, fractions });
  } catch (err) {
    if (err instanceof DecodeError) throw cannotBeHandled(kind, [err.message]);
    throw err;
  }
}

/** Plain data as an object of its type, and what the type does not know; what does not fit is refused. */
export function decodeAs(
  data: JsonObject,
  { schema, kind, patch }: Pick<DecodeRules, 'schema' | 'patch'> & { readonly kind: BodyType },
  fractions?: Fractions,
): Decoded {
  if (!patch) return decode(data, schema, kind, fractions);
  try {
    return decodeObject(data, { schema, definition: kind.definition, fractions });
  } catch (err) {
    if (!(err instanceof DecodeError)) throw err;
    throw invalidPatch(data, patch, patch.shown === undefined ? err.message : err.conversion);
  }
}
