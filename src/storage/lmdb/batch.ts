import type { StorageEvent } from '../storage.ts';
import { encodeHead, encodeJson, encodeLog, type Head } from './records.ts';
import type { Facts, Tables } from './tables.ts';

/** Changes that are committed together. Reads see what the batch itself has decided so far. */
export class Batch {
  readonly #tables: Tables;
  /** The newest heads of keys that this batch writes; undefined: forgotten. */
  readonly #heads = new Map<string, Head | undefined>();
  readonly #operations: (() => void)[] = [];
  readonly #appended: Promise<boolean>[] = [];
  readonly events: StorageEvent[] = [];
  revision: number;

  constructor(tables: Tables, revision: number) {
    this.#tables = tables;
    this.revision = revision;
  }

  get isEmpty(): boolean {
    return this.#operations.length === 0;
  }

  head(key: string): Head | undefined {
    if (this.#heads.has(key)) return this.#heads.get(key);
    const head = this.#tables.head(key);
    this.#heads.set(key, head);
    return head;
  }

  /** Gives a write its revision. `expires` 0: never. */
  append(key: string, value: Buffer | undefined, expires: number): number {
    const revision = ++this.revision;
    const previous = this.head(key)?.revision ?? 0;
    const head = { revision, removed: value === undefined };
    const { log, heads, expiries } = this.#tables;
    const record = encodeLog(revision, { key, value, previous, expires });
    const headBytes = encodeHead(head);
    this.#heads.set(key, head);
    this.#operations.push(
      () => void heads.put(key, headBytes),
      // The log only grows at its end: told so, lmdb fills its pages instead of splitting them.
      () => void this.#appended.push(log.put(revision, record, { append: true })),
    );
    if (expires > 0) {
      const expiry = encodeJson({ at: expires, revision, key });
      this.#operations.push(() => void expiries.put([expires, revision], expiry));
    }
    this.events.push({ key, revision, value });
    return revision;
  }

  forgetRecord(revision: number): void {
    this.#operations.push(() => void this.#tables.log.remove(revision));
  }

  forgetKey(key: string): void {
    this.#heads.set(key, undefined);
    this.#operations.push(() => void this.#tables.heads.remove(key));
  }

  forgetExpiry(at: number, revision: number): void {
    this.#operations.push(() => void this.#tables.expiries.remove([at, revision]));
  }

  note<Name extends keyof Facts>(name: Name, value: Facts[Name]): void {
    const bytes = encodeJson(value);
    this.#operations.push(() => void this.#tables.facts.put(name, bytes));
  }

  /** Resolves when all of it is on the disk; rejects when none of it is. */
  async commit(): Promise<void> {
    const committed = this.#tables.root.batch(() => {
      for (const operation of this.#operations) operation();
    });
    const [, ...appended] = await Promise.all([committed, ...this.#appended]);
    if (appended.includes(false)) throw new Error('A revision was given twice');
  }
}
