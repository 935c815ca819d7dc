import { ApiError } from '../../api/errors.ts';
import { isStorageError } from '../../storage/storage.ts';
import type { CacheEntry } from '../cache-entry.ts';
import { gzipInto, wantsGzip } from '../compression.ts';
import { type ContinueToken, decodeContinue, encodeContinue } from '../continue-token.ts';
import { type Exchange, writeHead } from '../exchange.ts';
import { Gathered } from '../gathered.ts';
import type { HandlerDeps, Target } from '../handler-deps.ts';
import { type ListOptions, parseListOptions } from '../list-options.ts';
import { pastEntries } from '../past-entries.ts';
import { sendJson, shapeOf } from '../reading.ts';
import {
  type ListMeta,
  listEnvelope,
  type Shape,
  shapeItem,
  shapeList,
} from '../representation.ts';
import { parseSelection, type Selection, selectsAll, selectsEntry } from '../selection.ts';
import { lowerBound } from '../sorted-entries.ts';
import type { Turns } from '../turns.ts';
import { untilRevision } from '../until-revision.ts';

interface Page {
  readonly items: readonly CacheEntry[];
  readonly metadata: ListMeta;
}

/** Entries at one revision, in order, not yet selected. Without entries they are to be read from history. */
interface Snapshot {
  readonly entries: readonly CacheEntry[] | undefined;
  /** The entries of the whole list, of which later pages are cut. */
  readonly whole: readonly CacheEntry[] | undefined;
  readonly revision: number;
}

interface Taken {
  readonly items: readonly CacheEntry[];
  readonly unread: number;
}

const HISTORY_STEP = 500;

/** GET …/RESOURCE: cached bytes, one object after the other. */
export async function list(deps: HandlerDeps, exchange: Exchange, target: Target): Promise<void> {
  const { kind } = target;
  const options = parseListOptions(exchange.query, false);
  const shape = shapeOf(exchange, kind, deps.clock.now());
  const selection = parseSelection(exchange.info, exchange.query, kind);
  const page = await selectPage(deps, target, options, selection);
  await sendList(exchange, shape, page, deps.state.pieces);
}

/** Every object that a selection is about, now. */
export async function selectAll(
  deps: HandlerDeps,
  { kind }: Target,
  selection: Selection,
): Promise<CacheEntry[]> {
  const cache = await deps.state.cache(kind);
  return cache.candidates(selection).filter((entry) => selectsEntry(selection, entry));
}

async function selectPage(
  deps: HandlerDeps,
  target: Target,
  options: ListOptions,
  selection: Selection,
): Promise<Page> {
  const token = options.continueToken === '' ? undefined : decodeContinue(options.continueToken);
  // A client that takes any version gets the whole list, as upstream's cache answers it.
  const limit = options.resourceVersion === 0 && !token ? 0 : options.limit;
  const found = await snapshot(deps, target, options, { selection, token });
  const { revision } = found;
  const { items, unread } = found.entries
    ? take(found.entries, limit, selection)
    : await takeFromHistory(deps, target.kind, { revision, after: token?.after, selection, limit });
  const after = items.at(-1)?.key;
  if (unread === 0 || after === undefined) {
    return { items, metadata: { resourceVersion: String(revision) } };
  }
  if (found.whole) deps.state.pages(target.kind).keep(revision, keyOf(selection), found.whole);
  const next = { revision: token?.revision === -1 ? -1 : revision, after };
  return {
    items,
    metadata: {
      resourceVersion: String(revision),
      continue: encodeContinue(next),
      // How many of the rest match is not known without reading them.
      ...(selectsAll(selection) ? { remainingItemCount: unread } : {}),
    },
  };
}

/** The first `limit` entries that match (0: all), and how many were not looked at. */
function take(entries: readonly CacheEntry[], limit: number, selection: Selection): Taken {
  if (selectsAll(selection)) {
    const items = limit > 0 ? entries.slice(0, limit) : entries;
    return { items, unread: entries.length - items.length };
  }
  const items: CacheEntry[] = [];
  for (const [index, entry] of entries.entries()) {
    if (!selectsEntry(selection, entry)) continue;
    if (limit > 0 && items.length === limit) return { items, unread: entries.length - index };
    items.push(entry);
  }
  return { items, unread: 0 };
}

async function snapshot(
  deps: HandlerDeps,
  { kind }: Target,
  options: ListOptions,
  page: { selection: Selection; token: ContinueToken | undefined },
): Promise<Snapshot> {
  const { state } = deps;
  const { selection, token } = page;
  const wanted = options.resourceVersion;
  if (wanted === undefined && !token) await state.fresh();
  else if (wanted !== undefined) await untilRevision(deps, wanted);
  const cache = await state.cache(kind);
  const exact = token ? token.revision : exactRevision(options);
  if (exact !== undefined && exact >= 0 && state.isForgotten(exact)) {
    throw expired(exact, token?.after);
  }
  if (exact === undefined || exact < 0 || cache.unchangedSince(exact)) {
    const revision = exact !== undefined && exact >= 0 ? exact : cache.upTo(state.revision);
    const whole = cache.candidates(selection);
    return { entries: behind(whole, token?.after), whole, revision };
  }
  const whole = state.pages(kind).find(exact, keyOf(selection));
  return { entries: whole && behind(whole, token?.after), whole, revision: exact };
}

function behind(entries: readonly CacheEntry[], after: string | undefined): readonly CacheEntry[] {
  return after === undefined ? entries : entries.slice(lowerBound(entries, `${after}\0`));
}

function keyOf({ namespace, labels, fields }: Selection): string {
  return JSON.stringify([namespace, labels, fields]);
}

/** The revision that the list must be read at; undefined: the newest will do. */
function exactRevision({ resourceVersion, match, limit }: ListOptions): number | undefined {
  if (!resourceVersion) return undefined;
  return match === 'Exact' || (match === '' && limit > 0) ? resourceVersion : undefined;
}

/** Like `take`, from the store's history. */
async function takeFromHistory(
  { state }: HandlerDeps,
  kind: Target['kind'],
  at: { revision: number; after: string | undefined; selection: Selection; limit: number },
): Promise<Taken> {
  const { revision, after, selection, limit } = at;
  const items: CacheEntry[] = [];
  const { namespace } = selection;
  const step = limit > 0 ? Math.min(limit, HISTORY_STEP) : HISTORY_STEP;
  const count = limit > 0 && selectsAll(selection);
  const range = { revision, after, namespace, step, count };
  try {
    for await (const read of pastEntries(state, kind, range)) {
      if (!selectsEntry(selection, read.entry)) continue;
      items.push(read.entry);
      if (items.length === limit) return { items, unread: read.unread };
    }
    return { items, unread: 0 };
  } catch (err) {
    if (isStorageError(err, 'compacted')) throw expired(revision, after);
    throw err;
  }
}

const PAGE_EXPIRED =
  'The provided continue parameter is too old to display a consistent list result. You can start a new list without the continue parameter, or use the continue token in this response to retrieve the remainder of the results. Continuing with the provided token results in an inconsistent list - objects that were created, modified, or deleted between the time the first chunk was returned and now may show up in the list.';

function expired(revision: number, after: string | undefined): ApiError {
  if (after === undefined) {
    return new ApiError(
      'Expired',
      `The resourceVersion for the provided list is too old: ${revision}`,
    );
  }
  return new ApiError('Expired', PAGE_EXPIRED, {
    metadata: { continue: encodeContinue({ revision: -1, after }) },
  });
}

async function sendList(exchange: Exchange, shape: Shape, page: Page, turns: Turns): Promise<void> {
  if (shape.representation.format === 'yaml' || exchange.query.has('pretty')) {
    const items = page.items.map(({ served }) => served);
    const json = shapeList(shape, page.metadata, items);
    await sendJson(exchange, 200, json, shape.representation.format);
    return;
  }
  const { head, tail } = listEnvelope(shape, page.metadata);
  const { res } = exchange;
  const bytes = page.items.reduce((sum, { served }) => sum + served.bytes.length, 0);
  const { sink, headers } = wantsGzip(exchange, bytes) ? gzipInto(res) : { sink: res, headers: {} };
  writeHead(exchange, 200, { 'Content-Type': 'application/json', ...headers });
  const out = new Gathered(sink);
  out.add(Buffer.from(head));
  for (const [index, entry] of page.items.entries()) {
    out.add(index > 0 ? NEXT : FIRST);
    out.add(shapeItem(shape, entry.served));
    if (!out.isFull) continue;
    await turns.next();
    if (!(await out.flush())) return;
  }
  out.add(Buffer.from(tail));
  await out.flush();
  sink.end();
}

const FIRST = Buffer.from('{');
const NEXT = Buffer.from(',{');
