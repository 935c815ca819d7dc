import type { KubeObject } from '../../api/types.ts';
import { readObject } from '../decode-body.ts';
import type { Exchange } from '../exchange.ts';
import type { HandlerDeps, Target } from '../handler-deps.ts';
import { sendObject, shapeOf } from '../reading.ts';
import type { Strategy } from '../resource-kind.ts';
import { parseWriteOptions, settleNamespace, writeContext } from '../write-options.ts';

type Finalizers = { finalizers?: string[] } | undefined;

/** PUT namespaces/NAME/finalize: sets spec.finalizers and nothing else. The namespace goes when the last one has gone. */
export async function finalizeNamespace(
  deps: HandlerDeps,
  exchange: Exchange,
  target: Target,
): Promise<void> {
  const { kind } = target;
  const now = deps.clock.now();
  const shape = shapeOf(exchange, kind, now);
  const options = parseWriteOptions(exchange, 'UpdateOptions');
  const { fieldValidation } = options;
  const given = await readObject(exchange, { schema: deps.schema, kind, fieldValidation });
  settleNamespace(given.metadata, '', false);
  const wanted = (given.spec as Finalizers)?.finalizers ?? [];
  const change = (object: KubeObject): KubeObject => {
    object.spec = { ...(object.spec as object), finalizers: wanted };
    if (given.metadata.resourceVersion) {
      object.metadata.resourceVersion = given.metadata.resourceVersion;
    } else delete object.metadata.resourceVersion;
    return object;
  };
  const strategy: Strategy = {};
  const { bytes } = await deps.store.update(
    kind,
    target,
    { strategy, subresource: 'finalize', change },
    writeContext(exchange, options, now),
  );
  await sendObject(exchange, 200, shape, bytes);
}
