import { badRequest } from '../../api/errors.ts';
import { invalid, invalidObject } from '../../api/field-errors.ts';
import { apiVersionOf } from '../../api/resource-types.ts';
import type { KubeObject } from '../../api/types.ts';
import { isObject, type JsonObject } from '../../util/json.ts';
import { methodNotAllowed } from '../answers.ts';
import { decodeAs, readObjectAs } from '../decode-body.ts';
import type { Exchange } from '../exchange.ts';
import type { HandlerDeps, Target } from '../handler-deps.ts';
import { trackUpdate } from '../managed-fields.ts';
import { sendJson } from '../reading.ts';
import type { ScaleSubresource } from '../resource-kind.ts';
import { applyConfiguration } from '../server-side-apply.ts';
import { parseWriteOptions, writeContext } from '../write-options.ts';
import { readYamlObject } from './apply.ts';
import { APPLY_PATCH, applyPatch, patchType, readPatch } from './patch.ts';

const SCALE = {
  ...{ group: 'autoscaling', version: 'v1', kind: 'Scale' },
  definition: 'io.k8s.api.autoscaling.v1.Scale',
};

type ScaleTarget = Target & { declared: ScaleSubresource };

/** …/NAME/scale: autoscaling/v1 Scale, a view of the object's number of replicas. */
export async function scale(
  deps: HandlerDeps,
  exchange: Exchange,
  target: ScaleTarget,
): Promise<void> {
  const { verb } = exchange.info;
  if (verb === 'get') {
    const { object } = await deps.store.read(target.kind, target);
    await answer(exchange, target, object);
    return;
  }
  if (verb === 'update') {
    const body = await readObjectAs(deps, exchange, SCALE);
    await write(deps, exchange, target, { edit: () => body });
    return;
  }
  if (verb !== 'patch') {
    throw methodNotAllowed();
  }
  const type = patchType(exchange, true);
  if (type === APPLY_PATCH) return applyScale(deps, exchange, target);
  const patch = await readPatch(exchange, type);
  const rules = { schema: deps.schema, kind: SCALE, patch: patch.inWords };
  const edit = (current: KubeObject) => {
    const { patched, fractions } = applyPatch(rules, current, patch);
    if (!isObject(patched)) throw badRequest('the scale is not an object');
    return decodeAs(patched, rules, fractions).object;
  };
  await write(deps, exchange, target, { edit, isPatch: true });
}

async function write(
  deps: HandlerDeps,
  exchange: Exchange,
  target: ScaleTarget,
  { edit, isPatch = false }: { edit: (current: KubeObject) => JsonObject; isPatch?: boolean },
): Promise<void> {
  const { kind, declared } = target;
  const options = parseWriteOptions(exchange, 'UpdateOptions');
  const now = deps.clock.now();
  const fields = { ...fieldWrite(deps, target, options.fieldManager), now };
  const change = (object: KubeObject): KubeObject => {
    const before = structuredClone(object);
    const scaled = edit(scaleOf(target, object));
    const { resourceVersion } = (scaled.metadata ?? {}) as { resourceVersion?: string };
    const spec = scaled.spec as { replicas?: unknown } | undefined;
    setPath(object, declared.replicasPath, checkReplicas(target.name, spec?.replicas ?? 0));
    if (resourceVersion) object.metadata.resourceVersion = resourceVersion;
    else delete object.metadata.resourceVersion;
    trackUpdate(before, object, fields);
    return object;
  };
  const { object } = await deps.store.update(
    kind,
    target,
    { strategy: kind.strategy, subresource: 'scale', change, isPatch },
    writeContext(exchange, options, now),
  );
  await answer(exchange, target, object);
}

/** Applies `spec.replicas` of a Scale as the field of the scaled object that holds it. */
async function applyScale(
  deps: HandlerDeps,
  exchange: Exchange,
  target: ScaleTarget,
): Promise<void> {
  const { kind, declared, name } = target;
  const options = parseWriteOptions(exchange, 'PatchOptions');
  const { spec } = await readYamlObject(exchange, options);
  const config: KubeObject = { apiVersion: apiVersionOf(kind), kind: kind.kind, metadata: {} };
  if (isObject(spec) && spec.replicas !== undefined) {
    setPath(config, declared.replicasPath, checkReplicas(name, spec.replicas));
  }
  const now = deps.clock.now();
  const fields = { ...fieldWrite(deps, target, options.fieldManager), now, force: options.force };
  const { object } = await deps.store.update(
    kind,
    target,
    {
      strategy: kind.strategy,
      subresource: 'scale',
      change: (live) => applyConfiguration(live, config, fields),
      isPatch: true,
    },
    writeContext(exchange, options, now),
  );
  await answer(exchange, target, object);
}

function fieldWrite({ schema }: HandlerDeps, { kind }: ScaleTarget, manager: string) {
  return { kind, schema, subresource: 'scale', manager };
}

function checkReplicas(name: string, replicas: unknown): number {
  if (typeof replicas === 'number' && Number.isInteger(replicas) && replicas >= 0) return replicas;
  throw invalidObject({ group: 'autoscaling', kind: 'Scale' }, name, [
    invalid('spec.replicas', replicas, 'must be greater than or equal to 0'),
  ]);
}

function scaleOf({ declared }: ScaleTarget, object: KubeObject): KubeObject {
  const { name, namespace, uid, resourceVersion, creationTimestamp } = object.metadata;
  return {
    apiVersion: 'autoscaling/v1',
    kind: 'Scale',
    metadata: JSON.parse(
      JSON.stringify({ name, namespace, uid, resourceVersion, creationTimestamp }),
    ),
    spec: { replicas: getPath(object, declared.replicasPath) ?? 0 },
    status: {
      replicas: getPath(object, declared.statusReplicasPath) ?? 0,
      selector: declared.selectorOf(object),
    },
  };
}

async function answer(exchange: Exchange, target: ScaleTarget, object: KubeObject): Promise<void> {
  await sendJson(exchange, 200, Buffer.from(JSON.stringify(scaleOf(target, object))), 'json');
}

function getPath(object: JsonObject, path: readonly string[]): unknown {
  let at: unknown = object;
  for (const step of path) at = isObject(at) ? at[step] : undefined;
  return at;
}

function setPath(object: JsonObject, path: readonly string[], value: unknown): void {
  const last = path.at(-1);
  if (last === undefined) return;
  let at = object;
  for (const step of path.slice(0, -1)) {
    const next = at[step];
    if (isObject(next)) at = next;
    else {
      const made: JsonObject = {};
      at[step] = made;
      at = made;
    }
  }
  at[last] = value;
}
