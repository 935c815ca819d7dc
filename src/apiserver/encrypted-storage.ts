import type {
  Dump,
  KeyValue,
  ListOptions,
  ListResult,
  Storage,
  StorageEvent,
  StorageStatus,
  WatchSink,
} from '../storage/storage.ts';
import type { Transformer } from './encryption/transformers.ts';
import { type EncryptionRule, transformersFor } from './encryption-rules.ts';
import type { KindRegistry } from './kind-registry.ts';

const ROOT = '/registry/';

/**
 * A store whose values of some kinds are sealed (encryption at rest). The first transformer of a kind seals what is
 * written; whichever a value names opens it, so that keys can be changed while old values are still there.
 */
export class EncryptedStorage implements Storage {
  readonly #inner: Storage;
  readonly #kinds: KindRegistry;
  #rules: readonly EncryptionRule[];
  readonly newest?: () => Promise<number>;
  readonly requestProgress?: () => void;
  /** By the part of the key that names the kind. */
  readonly #known = new Map<string, readonly Transformer[]>();

  constructor(inner: Storage, deps: { rules: readonly EncryptionRule[]; kinds: KindRegistry }) {
    this.#inner = inner;
    this.#rules = deps.rules;
    this.#kinds = deps.kinds;
    deps.kinds.onChange(() => this.#known.clear());
    // Only engines whose watchers are told late have these.
    if (inner.newest) this.newest = () => inner.newest?.() ?? Promise.resolve(0);
    if (inner.requestProgress) this.requestProgress = () => inner.requestProgress?.();
  }

  /** From now on values are sealed and opened by these rules. */
  use(rules: readonly EncryptionRule[]): void {
    this.#rules = rules;
    this.#known.clear();
  }

  async get(key: string): Promise<KeyValue | undefined> {
    const found = await this.#inner.get(key);
    return found && this.#opened(found);
  }

  async list(prefix: string, options?: ListOptions): Promise<ListResult> {
    const result = await this.#inner.list(prefix, options);
    return { ...result, items: result.items.map((item) => this.#opened(item)) };
  }

  create(key: string, value: Buffer, options?: { ttlSeconds?: number | undefined }) {
    return this.#inner.create(key, this.#seal(key, value), options);
  }

  update(
    key: string,
    value: Buffer,
    expected: number,
    options?: { ttlSeconds?: number | undefined },
  ): Promise<number> {
    return this.#inner.update(key, this.#seal(key, value), expected, options);
  }

  delete(key: string, expected: number): Promise<number> {
    return this.#inner.delete(key, expected);
  }

  watch(
    prefix: string,
    options: { after: number },
    sink: WatchSink,
    signal: AbortSignal,
  ): Promise<void> {
    const opening: WatchSink = {
      events: (batch) => sink.events(batch.map((event) => this.#openedEvent(event))),
      ...(sink.progress ? { progress: (revision) => sink.progress?.(revision) } : {}),
    };
    return this.#inner.watch(prefix, options, opening, signal);
  }

  compact(revision: number): Promise<void> {
    return this.#inner.compact(revision);
  }

  status(): Promise<StorageStatus> {
    return this.#inner.status();
  }

  /** As it lies there: a backup is sealed, too. */
  dump(): Promise<Dump> {
    return this.#inner.dump();
  }

  close(): Promise<void> {
    return this.#inner.close();
  }

  /** Whether the value is sealed in another way than it would be now: writing it again, unchanged, is not in vain. */
  async isStale(key: string): Promise<boolean> {
    const [first] = this.#transformersOf(key);
    if (!first) return false;
    const found = await this.#inner.get(key);
    return found !== undefined && openerOf(this.#transformersOf(key), found.value) !== first;
  }

  #seal(key: string, value: Buffer): Buffer {
    const [first] = this.#transformersOf(key);
    if (!first || first.prefix.length === 0) return value;
    return Buffer.concat([first.prefix, first.seal(value, key)]);
  }

  #opened(item: KeyValue): KeyValue {
    return { ...item, value: this.#open(item.key, item.value) };
  }

  #openedEvent(event: StorageEvent): StorageEvent {
    if (event.value === undefined) return event;
    return { ...event, value: this.#open(event.key, event.value) };
  }

  #open(key: string, value: Buffer): Buffer {
    // What nobody sealed is JSON; the buffer stays the same one, which caches know.
    if (!isSealed(value)) return value;
    const opener = openerOf(this.#transformersOf(key), value);
    if (!opener) throw new Error(`No key of the encryption configuration opens ${key}`);
    return opener.open(value.subarray(opener.prefix.length), key);
  }

  #transformersOf(key: string): readonly Transformer[] {
    const path = key.slice(ROOT.length);
    const first = path.slice(0, path.indexOf('/'));
    const known = this.#known.get(first);
    // A prefix with a slash in it belongs to one kind among several below the same word.
    if (known && !first.includes('.')) return known;
    const kind = this.#kinds
      .all()
      .find(({ storagePrefix }) => path.startsWith(`${storagePrefix}/`));
    const found = (kind && transformersFor(this.#rules, kind)) ?? [];
    if (kind?.storagePrefix === first) this.#known.set(first, found);
    return found;
  }
}

const SEAL = Buffer.from('k8s:enc:');

function isSealed(value: Buffer): boolean {
  return value.subarray(0, SEAL.length).equals(SEAL);
}

/** Who can open a value, by what it begins with; for a plain one: the transformer that leaves it plain. */
function openerOf(all: readonly Transformer[], value: Buffer): Transformer | undefined {
  if (!isSealed(value)) return all.find(({ prefix }) => prefix.length === 0);
  return all.find(
    ({ prefix }) => prefix.length > 0 && value.subarray(0, prefix.length).equals(prefix),
  );
}
