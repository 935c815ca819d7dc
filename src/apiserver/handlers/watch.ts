import { ApiError } from '../../api/errors.ts';
import { apiVersionOf } from '../../api/resource-types.ts';
import { disconnectSignal, type Exchange, writeHead } from '../exchange.ts';
import type { HandlerDeps, Target } from '../handler-deps.ts';
import { parseListOptions } from '../list-options.ts';
import { shapeOf } from '../reading.ts';
import { parseSelection } from '../selection.ts';
import { untilRevision } from '../until-revision.ts';
import { WatchStream } from '../watch-stream.ts';

// Upstream ends a watch after a random time between this and its double.
const MIN_WATCH_SECONDS = 1800;

/** GET …/RESOURCE?watch=1: one line of JSON per event, until the client leaves or the time is over. */
export async function watch(deps: HandlerDeps, exchange: Exchange, target: Target): Promise<void> {
  const { kind } = target;
  const options = parseListOptions(exchange.query, true);
  const shape = shapeOf(exchange, kind, deps.clock.now());
  if (shape.representation.format === 'yaml') {
    throw new ApiError('NotAcceptable', 'only application/json can be watched');
  }
  const selection = parseSelection(exchange.info, exchange.query, kind);
  const { resourceVersion, sendInitialEvents } = options;
  // Without a version, or with 0, a watch begins with what exists.
  const initial = sendInitialEvents ?? (resourceVersion === undefined || resourceVersion === 0);
  // What exists must not be older than what the client knows, or without a version, than its question.
  if (resourceVersion === undefined) await deps.state.fresh();
  else if (initial) await untilRevision(deps, resourceVersion);
  const cache = await deps.state.cache(kind);
  cache.refuseUnknown(selection);
  const stream = new WatchStream({
    cache,
    state: deps.state,
    clock: deps.clock,
    res: exchange.res,
    selection,
    shape,
    bookmarks: options.allowBookmarks,
    apiVersion: apiVersionOf(kind),
    cutOff: () => deps.metrics.watcherTerminated(kind),
  });
  const start = initial || resourceVersion === undefined ? deps.state.revision : resourceVersion;
  writeHead(exchange, 200, { 'Content-Type': 'application/json' });
  exchange.res.flushHeaders();
  const seconds =
    options.timeoutSeconds || MIN_WATCH_SECONDS + Math.floor(Math.random() * MIN_WATCH_SECONDS);
  await stream.run(
    { start, initial, markInitialEnd: sendInitialEvents === true, seconds },
    disconnectSignal(exchange),
  );
}
