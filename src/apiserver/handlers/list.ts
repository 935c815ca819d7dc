import { once } from 'node:events';
import { ApiError } from '../../api/errors.ts';
import { isStorageError } from '../../storage/storage.ts';
import { type CacheEntry, createEntry } from '../cache-entry.ts';
import { type ContinueToken, decodeContinue, encodeContinue } from '../continue-token.ts';
import { convertAll } from '../converted-cache.ts';
import { type Exchange, writeHead } from '../exchange.ts';
import type { HandlerDeps, Target } from '../handler-deps.ts';
import { type ListOptions, parseListOptions } from '../list-options.ts';
import { sendJson, shapeOf } from '../reading.ts';
import { type ListMeta, listEnvelope, type Shape, shapeItem } from '../representation.ts';
import { parseSelection, type Selection, selectsAll, selectsEntry } from '../selection.ts';
import { prefixOf } from '../state.ts';
import { encodeForStore, parseObject } from '../stored-object.ts';

interface Page {
  readonly items: readonly CacheEntry[];
  readonly metadata: ListMeta;
}

/** Entries at one revision, in order, not yet selected. */
interface Snapshot {
  readonly entries: readonly CacheEntry[];
  readonly revision: number;
}

// Chunks of this size keep system calls few without holding the list a second time.
const CHUNK_BYTES = 128 * 1024;
const WAIT_FOR_REVISION_MS = 3000;

/** GET …/RESOURCE: cached bytes, one object after the other. */
export async function list(deps: HandlerDeps, exchange: Exchange, target: Target): Promise<void> {
  const { kind } = target;
  const options = parseListOptions(exchange.query, false);
  const shape = shapeOf(exchange, kind, deps.clock.now());
  const selection = parseSelection(exchange.info, exchange.query, kind);
  const page = await selectPage(deps, target, options, selection);
  await sendList(exchange, shape, page);
}

/** Every object that a selection is about, now. */
export async function selectAll(
  deps: HandlerDeps,
  { kind }: Target,
  selection: Selection,
): Promise<CacheEntry[]> {
  const cache = await deps.state.cache(kind);
  return cache.slice(selection.namespace).filter((entry) => selectsEntry(selection, entry));
}

async function selectPage(
  deps: HandlerDeps,
  target: Target,
  options: ListOptions,
  selection: Selection,
): Promise<Page> {
  const token = options.continueToken === '' ? undefined : decodeContinue(options.continueToken);
  const { entries, revision } = await snapshot(deps, target, options, { selection, token });
  // A client that takes any version gets the whole list, as upstream's cache answers it.
  const limit = options.resourceVersion === 0 && !token ? 0 : options.limit;
  const { items, unread } = take(entries, limit, selection);
  const after = items.at(-1)?.key;
  if (unread === 0 || after === undefined) {
    return { items, metadata: { resourceVersion: String(revision) } };
  }
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
function take(
  entries: readonly CacheEntry[],
  limit: number,
  selection: Selection,
): { items: readonly CacheEntry[]; unread: number } {
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
  if (exact === undefined || exact < 0 || cache.unchangedSince(exact)) {
    const revision = exact !== undefined && exact >= 0 ? exact : state.revision;
    return { entries: cache.slice(selection.namespace, token?.after), revision };
  }
  return fromHistory(deps, kind, { revision: exact, after: token?.after, selection });
}

/** The revision that the list must be read at; undefined: the newest will do. */
function exactRevision({ resourceVersion, match, limit }: ListOptions): number | undefined {
  if (!resourceVersion) return undefined;
  return match === 'Exact' || (match === '' && limit > 0) ? resourceVersion : undefined;
}

async function fromHistory(
  { state }: HandlerDeps,
  kind: Target['kind'],
  at: { revision: number; after: string | undefined; selection: Selection },
): Promise<Snapshot> {
  const { revision, after, selection } = at;
  const root = prefixOf(kind.storagePrefix);
  const prefix = selection.namespace === '' ? root : `${root}${selection.namespace}/`;
  try {
    const { items } = await state.storage.list(prefix, {
      revision,
      ...(after === undefined ? {} : { after: root + after }),
    });
    const fieldsOf = kind.conversion ? kind.fieldsOf : state.fieldsOf(kind.storagePrefix);
    const values = await inOwnVersion(kind, items);
    const entries = items.map(({ key, revision: own }, i) => {
      const stored = values[i] ?? Buffer.alloc(0);
      return createEntry({ key: key.slice(root.length), stored, revision: own }, fieldsOf);
    });
    return { entries, revision };
  } catch (err) {
    if (isStorageError(err, 'compacted')) throw expired(revision, after);
    throw err;
  }
}

/** Stored objects as the kind's cache would hold them. */
async function inOwnVersion(
  kind: Target['kind'],
  items: readonly { readonly value: Buffer }[],
): Promise<Buffer[]> {
  if (!kind.conversion) return items.map(({ value }) => value);
  const objects = items.map(({ value }) => parseObject(value));
  return (await convertAll(kind, objects)).map(encodeForStore);
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

/** Waits a little for a revision that this server has not seen yet. */
async function untilRevision({ state, clock }: HandlerDeps, wanted: number): Promise<void> {
  const end = clock.now() + WAIT_FOR_REVISION_MS;
  while (state.revision < wanted) {
    if (clock.now() >= end) throw tooLarge(wanted, state.revision);
    await clock.sleep(100);
  }
}

function tooLarge(wanted: number, current: number): ApiError {
  const message = `Too large resource version: ${wanted}, current: ${current}`;
  return new ApiError('Timeout', message, {
    details: {
      causes: [{ reason: 'ResourceVersionTooLarge', message: 'Too large resource version' }],
      retryAfterSeconds: 1,
    },
  });
}

async function sendList(exchange: Exchange, shape: Shape, page: Page): Promise<void> {
  const { head, tail } = listEnvelope(shape, page.metadata);
  if (shape.representation.format === 'yaml' || exchange.query.has('pretty')) {
    const items = page.items.map((entry) => shapeItem(shape, entry.served.bytes).toString());
    const json = Buffer.from(head + items.join(',') + tail);
    await sendJson(exchange, 200, json, shape.representation.format);
    return;
  }
  writeHead(exchange, 200, { 'Content-Type': 'application/json' });
  const { res } = exchange;
  let chunk: Buffer[] = [Buffer.from(head)];
  let size = 0;
  for (const [index, entry] of page.items.entries()) {
    const bytes = shapeItem(shape, entry.served.bytes);
    if (index > 0) chunk.push(COMMA);
    chunk.push(bytes);
    size += bytes.length;
    if (size < CHUNK_BYTES) continue;
    if (!res.write(Buffer.concat(chunk))) await drained(exchange);
    if (res.destroyed) return;
    chunk = [];
    size = 0;
  }
  chunk.push(Buffer.from(tail));
  res.end(Buffer.concat(chunk));
}

const COMMA = Buffer.from(',');

async function drained({ res }: Exchange): Promise<void> {
  if (res.destroyed) return;
  await Promise.race([once(res, 'drain'), once(res, 'close')]);
}
