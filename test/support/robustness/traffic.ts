import { writeSync } from 'node:fs';
import { LmdbStorage } from '../../../src/storage/lmdb.ts';
import { isStorageError, StorageError, type StorageEvent } from '../../../src/storage/storage.ts';
import { realClock } from '../../../src/util/clock.ts';
import type { Line } from './model.ts';

// Works on few keys of a store with many clients at once until it is killed, and tells what it asks and what it is
// answered: a line of JSON each, in the order in which it happened. Arguments: directory, number of clients.

const KEYS = 12;
const [directory = '', clients = '8'] = process.argv.slice(2);
const storage = await LmdbStorage.open(directory, { clock: realClock, log: console as never });
const { revision: start, compacted } = await storage.status();
let lastId = 0;

type Unnumbered<T> = T extends { id: number } ? Omit<T, 'id'> : never;

function tell(line: Line): void {
  writeSync(1, `${JSON.stringify(line)}\n`);
}

/** One operation: told before it is asked and after it is answered. */
async function doing(
  what: Unnumbered<Extract<Line, { ask: string }>>,
  action: () => Promise<Unnumbered<Extract<Line, { answer: string }>>>,
): Promise<void> {
  const id = ++lastId;
  tell({ ...what, id } as Line);
  try {
    tell({ ...(await action()), id } as Line);
  } catch (err) {
    if (!(err instanceof StorageError)) throw err;
    tell({ id, answer: 'refused', kind: err.kind, revision: err.revision });
  }
}

async function work(client: number): Promise<void> {
  for (let n = 0; ; n++) {
    const key = `/registry/${client % 2 ? 'pods' : 'maps'}/k${Math.floor(Math.random() * KEYS)}`;
    const known = await storage.get(key);
    // Sometimes from what another client has overwritten meanwhile.
    const expected = known?.revision ?? 0;
    const value = `${process.pid}.${client}.${n}${'.'.repeat(Math.random() < 0.1 ? 6000 : 200)}`;
    const written = async (revision: Promise<number>) =>
      ({ answer: 'written', revision: await revision }) as const;
    switch (Math.floor(Math.random() * 6)) {
      case 0:
        await doing({ ask: 'get', key }, async () => {
          const found = await storage.get(key);
          return { answer: 'read', revision: found?.revision ?? 0 };
        });
        break;
      case 1:
        await doing({ ask: 'list', key: '/registry/' }, async () => {
          const { items, revision } = await storage.list('/registry/');
          return { answer: 'listed', revision, items: items.map((kv) => [kv.key, kv.revision]) };
        });
        break;
      case 2:
        if (expected === 0) break;
        await doing({ ask: 'delete', key, expected }, () => written(storage.delete(key, expected)));
        break;
      default:
        await doing({ ask: 'put', key, expected, value }, () =>
          written(
            expected === 0
              ? storage.create(key, Buffer.from(value))
              : storage.update(key, Buffer.from(value), expected),
          ),
        );
    }
  }
}

/** Watches that begin anywhere in the history, and go on where they were broken off, or behind what was compacted since. */
async function watch(name: string, prefix: string): Promise<void> {
  let after = compacted + Math.floor(Math.random() * (start - compacted + 1));
  tell({ watch: name, prefix, after });
  for (;;) {
    const stop = new AbortController();
    setTimeout(() => stop.abort(), Math.random() * 20);
    const sink = {
      events: (batch: readonly StorageEvent[]) => {
        after = batch.at(-1)?.revision ?? after;
        tell({ watch: name, events: batch.map((e) => [e.key, e.revision]) });
      },
    };
    await storage.watch(prefix, { after }, sink, stop.signal).catch((err: unknown) => {
      const isBehind = isStorageError(err, 'compacted') && (err.revision ?? 0) > after;
      if (!isBehind) throw err;
      after = err.revision ?? after;
      tell({ watch: name, prefix, after });
    });
  }
}

/** Only what was there before this process: the model must see all that is written now. */
async function compact(): Promise<void> {
  const target = start - Math.floor(Math.random() * 200);
  if (target <= compacted || Math.random() < 0.5) return;
  tell({ compact: target });
  await storage.compact(target);
}

await Promise.all([
  ...Array.from({ length: Number(clients) }, (_, client) => work(client)),
  watch('all', '/registry/'),
  watch('pods', '/registry/pods/'),
  compact(),
]);
