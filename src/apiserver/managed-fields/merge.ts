import type { Schema } from '../../api/schema.ts';
import { cloneJson, isObject, type JsonObject, own, put } from '../../util/json.ts';
import { type Shape, type Slot, shapeOf } from './shape.ts';

/** What `config` says over what `live` holds; shares nothing with either. Absent values are `undefined`. */
export function merge(schema: Schema, slot: Slot, live: unknown, config: unknown): unknown {
  if (config === undefined) return cloneJson(live);
  if (live === undefined) return cloneJson(config);
  const shape = shapeOf(schema, slot, config);
  if (shape.kind === 'map' && isObject(live) && isObject(config)) {
    return mergeMaps(schema, shape, live, config);
  }
  if (shape.kind === 'list' && Array.isArray(live) && Array.isArray(config)) {
    return mergeLists(schema, shape, live, config);
  }
  return cloneJson(config);
}

function mergeMaps(
  schema: Schema,
  shape: Shape & { kind: 'map' },
  live: JsonObject,
  config: JsonObject,
): JsonObject {
  const merged: JsonObject = {};
  for (const key of new Set([...Object.keys(live), ...Object.keys(config)])) {
    const slot = shape.slotOf(key) ?? { type: { kind: 'any' } };
    put(merged, key, merge(schema, slot, own(live, key), own(config, key)));
  }
  return merged;
}

/**
 * Items of the configuration come in its order. Items that only the live list holds keep their place before
 * the next item that both hold. Duplicates (which only stored lists hold) are not merged into.
 */
function mergeLists(
  schema: Schema,
  shape: Shape & { kind: 'list' },
  live: readonly unknown[],
  config: readonly unknown[],
): unknown[] {
  const lists = new ListPair(shape, live, config);
  const merged: unknown[] = [];
  for (const { element, liveItem, isConfigured } of lists.steps()) {
    const item = lists.configItems.get(element);
    merged.push(isConfigured ? merge(schema, shape.item, liveItem, item) : cloneJson(liveItem));
  }
  return merged;
}

interface Step {
  readonly element: string;
  readonly liveItem: unknown;
  readonly isConfigured: boolean;
}

/** Walks two lists with two cursors, in the order that structured-merge-diff v6 gives the merged one. */
class ListPair {
  readonly configItems: ReadonlyMap<string, unknown>;
  readonly #live: readonly (readonly [string, unknown])[];
  readonly #liveItems: ReadonlyMap<string, readonly unknown[]>;
  /** Elements of both lists that are still to come, in the order of the configuration. */
  readonly #shared: string[];
  readonly #done = new Set<string>();
  #next = 0;

  constructor(
    shape: Shape & { kind: 'list' },
    live: readonly unknown[],
    config: readonly unknown[],
  ) {
    this.#live = live.map((item) => [shape.elementOf(item), item] as const);
    this.#liveItems = Map.groupBy(live, shape.elementOf);
    this.configItems = new Map(config.map((item) => [shape.elementOf(item), item]));
    this.#shared = [...this.configItems.keys()].filter((element) => this.#liveItems.has(element));
  }

  *steps(): Generator<Step> {
    for (const element of this.configItems.keys()) {
      yield* this.#liveBefore(element);
      const known = this.#liveItems.get(element) ?? [];
      const liveItem = known.length === 1 ? known[0] : undefined;
      yield { element, liveItem, isConfigured: true };
      this.#done.add(element);
      if (this.#live[this.#next]?.[0] === element) this.#next++;
      if (this.#shared[0] === element) this.#shared.shift();
    }
    yield* this.#liveBefore(undefined);
  }

  /** What only the live list holds, up to the item `wanted` or one that must wait for its turn. */
  *#liveBefore(wanted: string | undefined): Generator<Step> {
    for (; this.#next < this.#live.length; this.#next++) {
      const [element, liveItem] = this.#live[this.#next] ?? ['', undefined];
      if (element === wanted) return;
      if (!this.configItems.has(element)) yield { element, liveItem, isConfigured: false };
      else if (this.#mustWait(element)) return;
    }
  }

  /** A shared item is passed over when it is done, or when another shared one has its turn before it. */
  #mustWait(element: string): boolean {
    return !this.#done.has(element) && (this.#shared[0] ?? element) === element;
  }
}
