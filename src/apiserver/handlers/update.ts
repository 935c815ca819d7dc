import { badRequest, isNotFound } from '../../api/errors.ts';
import type { KubeObject } from '../../api/types.ts';
import { cloneJson } from '../../util/json.ts';
import { readObject } from '../decode-body.ts';
import type { Exchange } from '../exchange.ts';
import type { HandlerDeps, Target } from '../handler-deps.ts';
import { trackUpdate } from '../managed-fields.ts';
import { sendObject, shapeOf } from '../reading.ts';
import { inServedVersion } from '../representation.ts';
import type { Strategy } from '../resource-kind.ts';
import { parseWriteOptions, settleNamespace, writeContext } from '../write-options.ts';

/** PUT …/RESOURCE/NAME and its views (`status`): the whole object. */
export async function update(
  deps: HandlerDeps,
  exchange: Exchange,
  target: Target & { strategy: Strategy },
): Promise<void> {
  const { kind, strategy, subresource } = target;
  const now = deps.clock.now();
  const shape = shapeOf(exchange, kind, now);
  const options = parseWriteOptions(exchange, 'UpdateOptions');
  const { schema } = deps;
  const { fieldValidation } = options;
  const given = await readObject(exchange, { schema, kind, fieldValidation });
  settleNamespace(given.metadata, target.namespace, kind.namespaced);
  checkName(given, target.name);
  const fields = { kind, schema, subresource, manager: options.fieldManager, now };
  const tracked = (live: KubeObject | undefined): KubeObject => {
    const object = cloneJson(given);
    trackUpdate(live && inServedVersion(kind, live), object, fields);
    return kind.storedAs ? kind.storedAs.toStored(object) : object;
  };
  const context = writeContext(exchange, options, now);
  try {
    const written = await deps.store.update(
      kind,
      target,
      { strategy, subresource, change: tracked },
      context,
    );
    await sendObject(exchange, 200, shape, written.bytes);
  } catch (err) {
    if (!isNotFound(err) || !strategy.allowCreateOnUpdate || subresource !== '') throw err;
    const object = tracked(undefined);
    delete object.metadata.resourceVersion;
    const written = await deps.store.create(kind, object, context);
    await sendObject(exchange, 201, shape, written.bytes);
  }
}

function checkName({ metadata }: KubeObject, name: string): void {
  metadata.name ||= name;
  if (metadata.name !== name) {
    throw badRequest(
      `the name of the object (${metadata.name}) does not match the name on the URL (${name})`,
    );
  }
}
