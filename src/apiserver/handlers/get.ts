import { notFound } from '../../api/errors.ts';
import { keyString } from '../../api/resource-types.ts';
import type { Exchange } from '../exchange.ts';
import type { HandlerDeps, Target } from '../handler-deps.ts';
import { parseVersion } from '../list-options.ts';
import { sendObject, shapeOf } from '../reading.ts';
import { untilRevision } from '../until-revision.ts';

/** GET …/RESOURCE/NAME and its `status`: the cached bytes. */
export async function get(deps: HandlerDeps, exchange: Exchange, target: Target): Promise<void> {
  const shape = shapeOf(exchange, target.kind, deps.clock.now());
  const wanted = parseVersion(exchange.query.get('resourceVersion') ?? '');
  if (wanted === undefined) await deps.state.fresh();
  else await untilRevision(deps, wanted);
  const cache = await deps.state.cache(target.kind);
  const entry = cache.get(keyString(target));
  if (!entry) throw notFound(target.kind, target.name);
  await sendObject(exchange, 200, shape, entry.served.bytes);
}
