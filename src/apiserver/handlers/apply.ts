import { decodeYaml, yamlError } from '../../api/encoding.ts';
import { badRequest, conflict, isAlreadyExists, isNotFound } from '../../api/errors.ts';
import type { KubeObject } from '../../api/types.ts';
import { isObject, type JsonObject } from '../../util/json.ts';
import { checkType, decodeTyped, NOTHING_NOTED, requestBody } from '../decode-body.ts';
import type { Exchange } from '../exchange.ts';
import type { HandlerDeps, Target } from '../handler-deps.ts';
import { sendObject, shapeOf } from '../reading.ts';
import { inServedVersion } from '../representation.ts';
import type { Strategy } from '../resource-kind.ts';
import type { Written } from '../resource-store.ts';
import { applyConfiguration } from '../server-side-apply.ts';
import {
  parseWriteOptions,
  settleNamespace,
  type WriteOptions,
  writeContext,
} from '../write-options.ts';

/** PATCH with an apply configuration: changes the object, or creates it where there is none. */
export async function apply(
  deps: HandlerDeps,
  exchange: Exchange,
  target: Target & { strategy: Strategy },
): Promise<void> {
  const { kind, strategy, subresource } = target;
  const now = deps.clock.now();
  const shape = shapeOf(exchange, kind, now);
  const options = parseWriteOptions(exchange, 'PatchOptions');
  const { fieldManager: manager, force } = options;
  const config = await readConfiguration(exchange, target, options);
  const { schema } = deps;
  const context = writeContext(exchange, options, now);
  const applied = (live: KubeObject | undefined): KubeObject => {
    const merged = applyConfiguration(live && inServedVersion(kind, live), config, {
      ...{ kind, schema, subresource, manager, force, now },
    });
    const rules = { schema, kind, fieldValidation: 'Ignore' as const };
    const object = decodeTyped(merged, NOTHING_NOTED, rules, exchange.warnings);
    return kind.storedAs ? kind.storedAs.toStored(object) : object;
  };
  const change = () =>
    deps.store.update(
      kind,
      target,
      { strategy, subresource, change: applied, isPatch: true },
      context,
    );
  const create = (): Promise<Written> => {
    if (config.metadata.uid) throw uidMismatch(target, config.metadata.uid);
    return deps.store.create(kind, applied(undefined), context);
  };
  try {
    await sendObject(exchange, 200, shape, (await change()).bytes);
  } catch (err) {
    if (!isNotFound(err) || subresource !== '') throw err;
    const { code, bytes } = await created(create, change);
    await sendObject(exchange, code, shape, bytes);
  }
}

/** Creates; where somebody else did so just now, changes that object. */
async function created(
  create: () => Promise<Written>,
  change: () => Promise<Written>,
): Promise<{ code: number; bytes: Buffer }> {
  try {
    return { code: 201, bytes: (await create()).bytes };
  } catch (err) {
    if (!isAlreadyExists(err)) throw err;
    return { code: 200, bytes: (await change()).bytes };
  }
}

function uidMismatch({ kind, name }: Target, uid: string): Error {
  const why = `uid mismatch: the provided object specified uid ${uid}, and no existing object was found`;
  return conflict(kind, name, why);
}

/** The body as data: what an apply configuration leaves out means something, so that nothing is filled in. */
async function readConfiguration(
  exchange: Exchange,
  target: Target,
  options: Pick<WriteOptions, 'fieldValidation'>,
): Promise<KubeObject> {
  const { kind, name, namespace } = target;
  const config = await readYamlObject(exchange, options);
  checkType(config, kind);
  const metadata = config.metadata ?? {};
  if (!isObject(metadata)) throw badRequest('metadata must be an object');
  config.metadata = metadata;
  settleNamespace(metadata, namespace, kind.namespaced);
  metadata.name ??= name;
  if (metadata.name !== name) {
    throw badRequest(
      `the name of the object (${metadata.name}) does not match the name on the URL (${name})`,
    );
  }
  return config as KubeObject;
}

/** Keys that are given twice are refused or warned of. */
export async function readYamlObject(
  exchange: Exchange,
  { fieldValidation }: Pick<WriteOptions, 'fieldValidation'>,
): Promise<JsonObject> {
  const body = await requestBody(exchange);
  const { value, duplicates } = await decodeYaml(body.toString());
  if (fieldValidation === 'Strict' && duplicates.length > 0) {
    const why = `error converting YAML to JSON: ${yamlError(duplicates)}`;
    throw badRequest(`error strict decoding YAML: ${why}`);
  }
  if (fieldValidation === 'Warn') exchange.warnings.push(...duplicates);
  if (!isObject(value)) throw badRequest('error decoding YAML: the configuration is not an object');
  return value;
}
