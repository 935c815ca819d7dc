import type { Transaction } from 'lmdb';
import { type DumpItem, type KeyValue, type ListOptions, prefixEnd } from '../storage.ts';
import { decodeHead, decodeLog, type Head } from './records.ts';
import type { Tables } from './tables.ts';

// So many keys are read at a time.
const STEP = 500;

/** The tables as they are when it is made, at a past revision or the newest. Must be closed. */
export class TableView {
  readonly #tables: Tables;
  readonly #revision: number;
  readonly #transaction: Transaction;

  constructor(tables: Tables, revision: number) {
    this.#tables = tables;
    this.#revision = revision;
    this.#transaction = tables.root.useReadTransaction();
  }

  close(): void {
    this.#transaction.done();
  }

  /** The first keys with this prefix, and how many follow. The event loop gets its turn when there are many. */
  async page(
    prefix: string,
    { limit = 0, after, count = false }: ListOptions,
  ): Promise<{ items: KeyValue[]; remaining: number }> {
    const items: KeyValue[] = [];
    let remaining = 0;
    const size = limit > 0 && !count ? Math.min(STEP, limit + 1) : STEP;
    for (const heads of this.steps(prefix, after, size)) {
      const { found, looked } = this.#take(heads, limit > 0 ? limit - items.length : heads.length);
      items.push(...found);
      remaining += heads.slice(looked).filter(({ head }) => this.#exists(head)).length;
      if (remaining > 0 && !count) break;
      if (heads.length === STEP) await new Promise(setImmediate);
    }
    return { items, remaining };
  }

  /** The heads of keys with this prefix, in order, behind `after`. A step that is not full is the last. */
  *steps(prefix: string, after?: string, size = STEP): Iterable<{ key: string; head: Head }[]> {
    const end = prefixEnd(prefix);
    let start = after ?? prefix;
    let exclusiveStart = after !== undefined;
    for (;;) {
      const range = { start, exclusiveStart, ...(end === undefined ? {} : { end }) };
      const step = [];
      for (const { key, value } of this.#tables.heads.getRange({
        ...range,
        limit: size,
        transaction: this.#transaction,
      })) {
        step.push({ key, head: decodeHead(value) });
      }
      yield step;
      const last = step.at(-1);
      if (!last || step.length < size) return;
      start = last.key;
      exclusiveStart = true;
    }
  }

  /** The first `room` values of these keys, and how many keys were looked at for them. */
  #take(
    heads: readonly { key: string; head: Head }[],
    room: number,
  ): { found: KeyValue[]; looked: number } {
    const found: KeyValue[] = [];
    let looked = 0;
    for (const { key, head } of heads) {
      if (found.length >= room) break;
      looked++;
      const item = this.#find(head);
      if (item) found.push({ key, value: item.value, revision: item.revision });
    }
    return { found, looked };
  }

  /** The value that the key had at the view's revision. */
  at(key: string, head: Head): DumpItem | undefined {
    const found = this.#find(head);
    return found && { key, ...found };
  }

  /** True when the key existed at the view's revision. Cheaper than reading it, as long as it has not changed since. */
  #exists(head: Head): boolean {
    return head.revision <= this.#revision ? !head.removed : this.#find(head) !== undefined;
  }

  #find(head: Head): Omit<DumpItem, 'key'> | undefined {
    let at = head.revision;
    if (at <= this.#revision && head.removed) return undefined;
    while (at > 0) {
      const sealed = this.#tables.log.get(at, { transaction: this.#transaction });
      if (!sealed) return undefined;
      const { value, previous, expires } = decodeLog(sealed);
      if (at <= this.#revision) return value && { value, revision: at, expires };
      at = previous;
    }
    return undefined;
  }
}
