import { decodeJson, decodeYaml } from '../../api/encoding.ts';
import { badRequest } from '../../api/errors.ts';
import { forbidden, invalidObject, required } from '../../api/field-errors.ts';
import { goText } from '../../api/scalars.ts';
import type { KubeObject } from '../../api/types.ts';
import type { Fractions } from '../../util/exact-json.ts';
import { cloneJson, isObject } from '../../util/json.ts';
import {
  checkType,
  contentTypeOf,
  type DecodeRules,
  decodeTyped,
  NOTHING_NOTED,
  type PatchInWords,
  requestBody,
  unsupportedMediaType,
} from '../decode-body.ts';
import type { Exchange } from '../exchange.ts';
import type { HandlerDeps, Target } from '../handler-deps.ts';
import { type FieldWrite, trackUpdate } from '../managed-fields.ts';
import { implyStructs } from '../patch/implied-structs.ts';
import { applyJsonPatch } from '../patch/json-patch.ts';
import { applyMergePatch } from '../patch/merge-patch.ts';
import { applyStrategicMergePatch } from '../patch/strategic-merge-patch.ts';
import { putBack, type Stand, standIn } from '../patch/written-numbers.ts';
import { sendObject, shapeOf } from '../reading.ts';
import { inServedVersion } from '../representation.ts';
import type { Strategy } from '../resource-kind.ts';
import { parseWriteOptions, writeContext } from '../write-options.ts';
import { apply } from './apply.ts';

const JSON_PATCH = 'application/json-patch+json';
const MERGE_PATCH = 'application/merge-patch+json';
const STRATEGIC_PATCH = 'application/strategic-merge-patch+json';
export const APPLY_PATCH = 'application/apply-patch+yaml';

/** PATCH …/RESOURCE/NAME and its views: a change of the stored object, tried again when somebody was faster. */
export async function patch(
  deps: HandlerDeps,
  exchange: Exchange,
  target: Target & { strategy: Strategy },
): Promise<void> {
  const { kind, strategy, subresource } = target;
  const type = patchType(exchange, kind.custom === undefined);
  if (type === APPLY_PATCH) return apply(deps, exchange, target);
  const now = deps.clock.now();
  const shape = shapeOf(exchange, kind, now);
  const options = parseWriteOptions(exchange, 'PatchOptions');
  const { fieldValidation } = options;
  const patch = await readPatch(exchange, type, fieldValidation !== 'Ignore');
  const rules = { schema: deps.schema, kind, fieldValidation, patch: patch.inWords };
  const fields: FieldWrite = { ...rules, subresource, manager: options.fieldManager, now };
  const change = (current: KubeObject): KubeObject => {
    const live = inServedVersion(kind, current);
    const { patched, fractions } = applyPatch(rules, live, patch);
    if (!isObject(patched)) throw badRequest('the patched object is not an object');
    checkType(patched, kind);
    const noted = { ...NOTHING_NOTED, fractions };
    const object = decodeTyped(patched, noted, rules, exchange.warnings);
    trackUpdate(live, object, fields);
    return kind.storedAs ? kind.storedAs.toStored(object) : object;
  };
  const { bytes } = await deps.store.update(
    kind,
    target,
    { strategy, subresource, change, isPatch: true },
    writeContext(exchange, options, now),
  );
  await sendObject(exchange, 200, shape, bytes);
}

/** The media type of a patch (custom resources carry no merge keys: nothing strategic), which must be one that the kind understands and fit the query parameters. */
export function patchType(exchange: Exchange, strategic: boolean): string {
  const type = contentTypeOf(exchange);
  const known = [JSON_PATCH, MERGE_PATCH, ...(strategic ? [STRATEGIC_PATCH] : []), APPLY_PATCH];
  if (!known.includes(type)) throw unsupportedMediaType(known);
  const { query } = exchange;
  const options = { group: 'meta.k8s.io', kind: 'PatchOptions' };
  if (type === APPLY_PATCH) {
    if (!query.get('fieldManager')) {
      throw invalidObject(options, '', [required('fieldManager', 'is required for apply patch')]);
    }
  } else if (query.has('force')) {
    const why = 'may not be specified for non-apply patch';
    throw invalidObject(options, '', [forbidden('force', why)]);
  }
  return type;
}

/** A patch as data, and what is to be said of it. */
export interface ReadPatch {
  readonly type: string;
  readonly body: unknown;
  readonly inWords: PatchInWords;
  /** For whole numbers that are not written as such. */
  readonly stand?: Stand;
}

export async function readPatch(
  exchange: Exchange,
  type: string,
  isChecked = false,
): Promise<ReadPatch> {
  const body = await requestBody(exchange);
  // Every kind of patch may also be written as YAML.
  const text = body.toString();
  const isJson = /^\s*[{[]/.test(text);
  const decoded = isJson ? decodeJson(text, isChecked) : await decodeYaml(text);
  const { value, duplicates, fractions } = decoded;
  // A strategic patch is merged as data: as such, a number is whole however it is written.
  if (type === STRATEGIC_PATCH) {
    return { type, body: value, inWords: { shown: goText(value), problems: duplicates } };
  }
  const problems =
    type === JSON_PATCH && isChecked ? problemsOfJsonPatch(value, duplicates) : duplicates;
  const stand = fractions && standIn(fractions);
  return { type, body: value, inWords: { problems }, ...(stand && { stand }) };
}

interface Patchable {
  readonly definition: string;
  readonly custom?: unknown;
}

/** What the patch makes of an object of the kind that is answered. */
export function applyPatch(
  { schema, kind }: Pick<DecodeRules, 'schema'> & { readonly kind: Patchable },
  current: KubeObject,
  { type, body, stand }: ReadPatch,
): { patched: unknown; fractions?: Fractions | undefined } {
  if (type === STRATEGIC_PATCH) {
    const options = { schema, definition: kind.definition };
    return { patched: applyStrategicMergePatch(current, body, options) };
  }
  const patched =
    type === JSON_PATCH
      ? patchDocument({ schema, kind }, current, body)
      : applyMergePatch(current, body);
  return { patched, fractions: stand && putBack(patched, stand) };
}

function patchDocument(
  { schema, kind }: Pick<DecodeRules, 'schema'> & { readonly kind: Patchable },
  current: KubeObject,
  operations: unknown,
): unknown {
  if (kind.custom) return applyJsonPatch(current, operations);
  const document = cloneJson(current);
  const dropEmpty = implyStructs(document, operations, { schema, definition: kind.definition });
  const patched = applyJsonPatch(document, operations);
  dropEmpty(patched);
  return patched;
}

const OPERATION_MEMBERS = new Set(['op', 'path', 'from', 'value']);

function problemsOfJsonPatch(body: unknown, duplicates: readonly string[]): string[] {
  const operations = Array.isArray(body) ? body : [];
  const unknown = operations.flatMap((operation, i) =>
    Object.keys(isObject(operation) ? operation : {})
      .filter((key) => !OPERATION_MEMBERS.has(key))
      .map((key) => `unknown field "[${i}].${key}"`),
  );
  return [...unknown, ...duplicates].map((problem) => `json patch ${problem}`);
}
