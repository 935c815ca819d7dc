import { decodeJson, decodeYaml } from '../../api/encoding.ts';
import { badRequest } from '../../api/errors.ts';
import { forbidden, invalidObject, required } from '../../api/field-errors.ts';
import type { KubeObject } from '../../api/types.ts';
import { isObject } from '../../util/json.ts';
import {
  checkType,
  contentTypeOf,
  type DecodeRules,
  decodeTyped,
  NOTHING_NOTED,
  requestBody,
  unsupportedMediaType,
} from '../decode-body.ts';
import type { Exchange } from '../exchange.ts';
import type { HandlerDeps, Target } from '../handler-deps.ts';
import { type FieldWrite, trackUpdate } from '../managed-fields.ts';
import { applyJsonPatch } from '../patch/json-patch.ts';
import { applyMergePatch } from '../patch/merge-patch.ts';
import { applyStrategicMergePatch } from '../patch/strategic-merge-patch.ts';
import { sendObject, shapeOf } from '../reading.ts';
import { inServedVersion } from '../representation.ts';
import type { Strategy } from '../resource-kind.ts';
import { parseWriteOptions, writeContext } from '../write-options.ts';
import { apply } from './apply.ts';

export const JSON_PATCH = 'application/json-patch+json';
export const MERGE_PATCH = 'application/merge-patch+json';
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
  const patch = { type, body: await readPatch(exchange) };
  const { fieldValidation } = options;
  const rules = { schema: deps.schema, kind, fieldValidation, isPatch: true };
  const fields: FieldWrite = { ...rules, subresource, manager: options.fieldManager, now };
  const change = (current: KubeObject): KubeObject => {
    const live = inServedVersion(kind, current);
    const patched = applyPatch(rules, live, patch);
    if (!isObject(patched)) throw badRequest('the patched object is not an object');
    checkType(patched, kind);
    const object = decodeTyped(patched, NOTHING_NOTED, rules, exchange.warnings);
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

export async function readPatch(exchange: Exchange): Promise<unknown> {
  const body = await requestBody(exchange);
  // Every kind of patch may also be written as YAML.
  const text = body.toString();
  const { value } = /^\s*[{[]/.test(text) ? decodeJson(text, false) : await decodeYaml(text);
  return value;
}

function applyPatch(
  { schema, kind }: DecodeRules,
  current: KubeObject,
  { type, body }: { type: string; body: unknown },
): unknown {
  if (type === JSON_PATCH) return applyJsonPatch(current, body);
  if (type === MERGE_PATCH) return applyMergePatch(current, body);
  return applyStrategicMergePatch(current, body, { schema, definition: kind.definition });
}
