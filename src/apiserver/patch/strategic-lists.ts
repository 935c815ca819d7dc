import { ApiError, badRequest } from '../../api/errors.ts';
import type { Field, TypeRef } from '../../api/schema.ts';
import { isObject, type JsonObject, own } from '../../util/json.ts';
import { unknownDirective, withoutDirectives } from './directives.ts';

/** Merges `patch` into `original`; both are the merger's to change. */
export type ObjectMerger = (original: JsonObject, patch: JsonObject, type: TypeRef) => JsonObject;

/** Merges a list of `patchStrategy: merge`: by its merge key, or as a set of scalars. */
export function mergeList(
  live: unknown[],
  change: unknown[],
  field: Field,
  merge: ObjectMerger,
): unknown[] {
  if (live.length === 0 && change.length === 0) return live;
  if (holdsScalars(live, change)) {
    return arrange([...new Set([...live, ...change])], { order: change, live, keyOf: itself });
  }
  const { kept, additions } = applyElementDirectives(live, change, field);
  const merged = mergeByKey(kept, additions, field, merge);
  return arrange(merged, { order: additions, live: kept, keyOf: keyReader(field) });
}

/** A list with `$setElementOrder`: the patch's elements in that order, the server's own where they were. */
export function orderElements(
  lists: { live: unknown[]; change: unknown[]; order: unknown[] },
  field: Field,
  merge: ObjectMerger,
): unknown[] {
  const { live, change, order } = lists;
  const keyOf = field.patchMergeKey === undefined ? itself : keyReader(field);
  checkOrder(change, order, keyOf);
  const merged = mergeList(live, change, field, merge);
  return arrange(merged, { order, live, keyOf });
}

type KeyOf = (item: unknown) => unknown;

const itself: KeyOf = (item) => item;

function keyReader(field: Field): KeyOf {
  const mergeKey = mergeKeyOf(field);
  return (item) => {
    const value = isObject(item) ? own(item, mergeKey) : undefined;
    if (value === undefined) throw noMergeKey(item, mergeKey);
    return value;
  };
}

function mergeKeyOf(field: Field): string {
  if (field.patchMergeKey === undefined) {
    throw badRequest('cannot merge lists without merge key');
  }
  return field.patchMergeKey;
}

function noMergeKey(item: unknown, mergeKey: string): ApiError {
  return badRequest(
    `map: ${JSON.stringify(item)} does not contain declared merge key: ${mergeKey}`,
  );
}

function holdsScalars(...lists: unknown[][]): boolean {
  const items = lists.flat();
  if (items.some(Array.isArray)) throw new ApiError('Invalid', 'lists of lists are not supported');
  const objects = items.filter(isObject).length;
  if (objects > 0 && objects < items.length) {
    throw badRequest('list element types are not identical');
  }
  return objects === 0;
}

/** Elements with `$patch`: delete takes live elements away, replace takes all of them. */
function applyElementDirectives(
  live: unknown[],
  change: unknown[],
  field: Field,
): { kept: unknown[]; additions: JsonObject[] } {
  const keyOf = keyReader(field);
  const additions: JsonObject[] = [];
  let kept = live;
  let replace = false;
  for (const item of change) {
    if (!isObject(item)) continue;
    const directive = own(item, '$patch');
    if (directive === undefined) additions.push(item);
    else if (directive === 'replace') replace = true;
    else if (directive === 'delete') {
      const gone = keyOf(item);
      kept = kept.filter((other) => keyOf(other) !== gone);
    } else if (directive === 'merge') {
      throw badRequest('merging lists cannot yet be specified in the patch');
    } else {
      throw unknownDirective(directive);
    }
  }
  return { kept: replace ? [] : kept, additions };
}

function mergeByKey(
  live: unknown[],
  additions: JsonObject[],
  field: Field,
  merge: ObjectMerger,
): unknown[] {
  const elementType: TypeRef = field.type.kind === 'array' ? field.type.of : { kind: 'any' };
  const keyOf = keyReader(field);
  const merged = [...live];
  const positions = new Map<unknown, number>();
  // The first of several elements with one key is the one that merges (ports may repeat a containerPort).
  live.forEach((item, i) => {
    const key = keyOf(item);
    if (!positions.has(key)) positions.set(key, i);
  });
  for (const item of additions) {
    const key = keyOf(item);
    const at = positions.get(key);
    const before = at === undefined ? undefined : merged[at];
    if (at === undefined || !isObject(before)) {
      positions.set(key, merged.push(withoutDirectives(item)) - 1);
    } else {
      merged[at] = merge(before, item, elementType);
    }
  }
  return merged;
}

/** The patch's elements must stand in the order list, in the same relative order. */
function checkOrder(change: unknown[], order: unknown[], keyOf: KeyOf): void {
  if (change.length === 0 || order.length === 0) return;
  const wanted = order.map(keyOf);
  let from = 0;
  for (const item of change) {
    if (isObject(item) && Object.hasOwn(item, '$patch')) continue;
    const at = wanted.indexOf(keyOf(item), from);
    if (at < 0) {
      throw badRequest(
        `The order in patch list:\n${JSON.stringify(change)}\n doesn't match $setElementOrder list:\n${JSON.stringify(order)}\n`,
      );
    }
    from = at + 1;
  }
}

/**
 * Elements named in `order` follow it; the others keep their live order. The two rows are then zipped:
 * an element of the second row goes first only when it stood before the other's next one in the live list.
 */
function arrange(
  items: unknown[],
  by: { order: unknown[]; live: unknown[]; keyOf: KeyOf },
): unknown[] {
  const rank = ranks(by.order, by.keyOf);
  const liveRank = ranks(by.live, by.keyOf);
  const rankIn = (table: Map<unknown, number>) => (item: unknown) =>
    table.get(by.keyOf(item)) ?? Number.POSITIVE_INFINITY;
  const ordered = sortedBy(
    items.filter((item) => rank.has(by.keyOf(item))),
    rankIn(rank),
  );
  const others = sortedBy(
    items.filter((item) => !rank.has(by.keyOf(item))),
    rankIn(liveRank),
  );
  const result: unknown[] = [];
  let next = 0;
  for (const item of others) {
    const own = liveRank.get(by.keyOf(item)) ?? Number.POSITIVE_INFINITY;
    while (next < ordered.length) {
      const rival = liveRank.get(by.keyOf(ordered[next]));
      if (rival !== undefined && own < rival) break;
      result.push(ordered[next]);
      next++;
    }
    result.push(item);
  }
  return [...result, ...ordered.slice(next)];
}

function ranks(list: unknown[], keyOf: KeyOf): Map<unknown, number> {
  const table = new Map<unknown, number>();
  list.forEach((item, i) => {
    const key = keyOf(item);
    if (!table.has(key)) table.set(key, i);
  });
  return table;
}

function sortedBy(items: unknown[], rank: (item: unknown) => number): unknown[] {
  return items.toSorted((a, b) => compare(rank(a), rank(b)));
}

function compare(a: number, b: number): number {
  return a === b ? 0 : a - b;
}
