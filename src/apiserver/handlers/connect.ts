import { ApiError } from '../../api/errors.ts';
import { methodNotAllowed } from '../answers.ts';
import type { Exchange } from '../exchange.ts';
import type { HandlerDeps, Target } from '../handler-deps.ts';
import type { ConnectSubresource } from '../resource-kind.ts';

/** A sub-resource with a handler of its own. */
export type ConnectHandler = (
  deps: HandlerDeps,
  exchange: Exchange,
  target: Target,
) => Promise<void>;

/** By `RESOURCE/SUBRESOURCE` or, for sub-resources that are the same for every kind, `SUBRESOURCE`. */
export type ConnectHandlers = Readonly<Record<string, ConnectHandler>>;

export async function connect(
  deps: HandlerDeps & { connectors: ConnectHandlers },
  exchange: Exchange,
  target: Target & { declared: ConnectSubresource },
): Promise<void> {
  const { kind, subresource, declared } = target;
  if (!declared.verbs.includes(exchange.info.verb)) {
    throw methodNotAllowed();
  }
  const handler =
    deps.connectors[`${kind.resource}/${subresource}`] ?? deps.connectors[subresource];
  if (!handler) {
    throw new ApiError('NotFound', `the server does not serve ${kind.resource}/${subresource}`);
  }
  await handler(deps, exchange, target);
}
