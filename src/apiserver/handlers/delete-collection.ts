import { isNotFound } from '../../api/errors.ts';
import type { Exchange } from '../exchange.ts';
import type { HandlerDeps, Target } from '../handler-deps.ts';
import { parseListOptions } from '../list-options.ts';
import { sendJson, shapeOf } from '../reading.ts';
import { shapeList } from '../representation.ts';
import { parseSelection } from '../selection.ts';
import type { ServedBytes } from '../stored-object.ts';
import { writeContext } from '../write-options.ts';
import { readDeleteOptions } from './delete.ts';
import { selectAll } from './list.ts';

// Upstream's number of workers per collection.
const AT_ONCE = 16;

/** DELETE …/RESOURCE: each object that the selectors match, as if deleted alone. Answers the list of them. */
export async function deleteCollection(
  deps: HandlerDeps,
  exchange: Exchange,
  target: Target,
): Promise<void> {
  const { kind } = target;
  const now = deps.clock.now();
  const shape = shapeOf(exchange, kind, now);
  parseListOptions(exchange.query, false);
  const selection = parseSelection(exchange.info, exchange.query, kind);
  const options = await readDeleteOptions(exchange);
  const context = writeContext(exchange, options, now);
  // Also those that another server has made just now.
  await deps.state.fresh();
  const entries = await selectAll(deps, target, selection);
  const items: ServedBytes[] = [];
  for (let i = 0; i < entries.length; i += AT_ONCE) {
    await Promise.all(
      entries.slice(i, i + AT_ONCE).map(async (entry) => {
        await deps.store.delete(kind, entry, options, context).catch(ignoreGone);
        items.push(entry.served);
      }),
    );
  }
  const json = shapeList(shape, { resourceVersion: String(deps.state.revision) }, items);
  await sendJson(exchange, 200, json, shape.representation.format);
}

function ignoreGone(err: unknown): void {
  if (!isNotFound(err)) throw err;
}
