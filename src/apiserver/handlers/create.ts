import { badRequest } from '../../api/errors.ts';
import { readObject } from '../decode-body.ts';
import type { Exchange } from '../exchange.ts';
import type { HandlerDeps, Target } from '../handler-deps.ts';
import { trackUpdate } from '../managed-fields.ts';
import { sendObject, shapeOf } from '../reading.ts';
import { parseWriteOptions, settleNamespace, writeContext } from '../write-options.ts';

/** POST …/RESOURCE */
export async function create(deps: HandlerDeps, exchange: Exchange, target: Target): Promise<void> {
  const { kind } = target;
  const now = deps.clock.now();
  const shape = shapeOf(exchange, kind, now);
  const options = parseWriteOptions(exchange, 'CreateOptions');
  const { schema } = deps;
  const { fieldValidation } = options;
  const object = await readObject(exchange, { schema, kind, fieldValidation });
  settleNamespace(object.metadata, target.namespace, kind.namespaced);
  if (target.name !== '' && object.metadata.name && object.metadata.name !== target.name) {
    throw badRequest('the name of the object does not match the name on the URL');
  }
  const manager = options.fieldManager;
  trackUpdate(undefined, object, { kind, schema, subresource: '', manager, now });
  const stored = kind.storedAs ? kind.storedAs.toStored(object) : object;
  const { bytes } = await deps.store.create(kind, stored, writeContext(exchange, options, now));
  await sendObject(exchange, 201, shape, bytes);
}
