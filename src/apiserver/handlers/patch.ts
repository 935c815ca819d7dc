import { decodeJson, decodeYaml } from '../../api/encoding.ts';
import { badRequest } from '../../api/errors.ts';
import type { KubeObject } from '../../api/types.ts';
import { readBody } from '../../http/body.ts';
import { isObject } from '../../util/json.ts';
import {
  checkType,
  contentTypeOf,
  type DecodeRules,
  decodeTyped,
  MAX_BODY_BYTES,
  unsupportedMediaType,
} from '../decode-body.ts';
import type { Exchange } from '../exchange.ts';
import type { HandlerDeps, Target } from '../handler-deps.ts';
import { applyJsonPatch } from '../patch/json-patch.ts';
import { applyMergePatch } from '../patch/merge-patch.ts';
import { applyStrategicMergePatch } from '../patch/strategic-merge-patch.ts';
import { sendObject, shapeOf } from '../reading.ts';
import { inServedVersion } from '../representation.ts';
import type { Strategy } from '../resource-kind.ts';
import { parseWriteOptions, writeContext } from '../write-options.ts';

const JSON_PATCH = 'application/json-patch+json';
const MERGE_PATCH = 'application/merge-patch+json';
const STRATEGIC_PATCH = 'application/strategic-merge-patch+json';
const PATCH_TYPES = [JSON_PATCH, MERGE_PATCH, STRATEGIC_PATCH];

/** PATCH …/RESOURCE/NAME and its views: a change of the stored object, tried again when somebody was faster. */
export async function patch(
  deps: HandlerDeps,
  exchange: Exchange,
  target: Target & { strategy: Strategy },
): Promise<void> {
  const { kind, strategy, subresource } = target;
  const type = contentTypeOf(exchange);
  if (!PATCH_TYPES.includes(type)) throw unsupportedMediaType(PATCH_TYPES);
  const now = deps.clock.now();
  const shape = shapeOf(exchange, kind, now);
  const options = parseWriteOptions(exchange, 'PatchOptions');
  const patch = { type, body: await readPatch(exchange) };
  const rules = { schema: deps.schema, kind, fieldValidation: options.fieldValidation };
  const change = (current: KubeObject): KubeObject => {
    const patched = applyPatch(rules, inServedVersion(kind, current), patch);
    if (!isObject(patched)) throw badRequest('the patched object is not an object');
    checkType(patched, kind);
    const object = decodeTyped(patched, [], rules, exchange.warnings);
    return kind.storedAs ? kind.storedAs.toStored(object) : object;
  };
  const { bytes } = await deps.store.update(
    kind,
    target,
    { strategy, subresource, change },
    writeContext(exchange, options, now),
  );
  await sendObject(exchange, 200, shape, bytes);
}

export async function readPatch(exchange: Exchange): Promise<unknown> {
  const body = await readBody(exchange.req, MAX_BODY_BYTES);
  // Strategic and merge patches may also be written as YAML.
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
