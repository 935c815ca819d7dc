import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { LmdbStorage } from '../../../src/storage/lmdb.ts';
import type { StorageEvent } from '../../../src/storage/storage.ts';
import { realClock } from '../../../src/util/clock.ts';
import { silent } from '../../../src/util/log.ts';
import type { Line, StoreModel } from './model.ts';

const CLIENTS = 8;

/**
 * Lets traffic work on the store for a moment, then does `cut`, which must end the process. Answers what it told until
 * then. Mostly it has written before, sometimes it still opens the store.
 */
export async function live(
  directory: string,
  cut: (traffic: ChildProcess) => void,
): Promise<Line[]> {
  const script = resolve('test/support/robustness/traffic.ts');
  const child = spawn(process.execPath, [script, directory, String(CLIENTS)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const closed = once(child, 'close');
  let output = '';
  child.stdout.on('data', (chunk) => {
    output += chunk;
  });
  const early = Math.random() < 0.2;
  while (!early && !output.includes('"written"')) {
    await Promise.race([once(child.stdout, 'data'), closed]);
    if (child.exitCode !== null) throw new Error(`The traffic ended by itself: ${output}`);
  }
  await sleep(Math.random() * 80);
  cut(child);
  await closed;
  const lines = output
    .slice(0, output.lastIndexOf('\n') + 1)
    .split('\n')
    .slice(0, -1);
  return lines.map((line) => JSON.parse(line) as Line);
}

/** Opens the store again. Answers what the model finds wrong, and where the store's state is not what its history says. */
export async function examine(
  directory: string,
  model: StoreModel,
  lines: readonly Line[],
): Promise<string[]> {
  const storage = await LmdbStorage.open(directory, { clock: realClock, log: silent });
  try {
    const { compacted } = await storage.status();
    const history = await historyOf(storage, compacted);
    const wrong = model.check(lines, { after: compacted, history });
    const { items, revision } = await storage.list('/registry/');
    if (revision !== model.last) wrong.push(`revision ${revision} instead of ${model.last}`);
    if (compacted > model.compacted)
      wrong.push(`compacted up to ${compacted}, which nobody asked for`);
    const found = JSON.stringify(items.map((kv) => [kv.key, kv.revision]));
    const expected = JSON.stringify([...model.state].sort(([a], [b]) => (a < b ? -1 : 1)));
    if (found !== expected) wrong.push(`state ${found} instead of ${expected}`);
    return wrong;
  } finally {
    await storage.close();
  }
}

async function historyOf(storage: LmdbStorage, after: number): Promise<StorageEvent[]> {
  const events: StorageEvent[] = [];
  const stop = new AbortController();
  const reached = Promise.withResolvers<void>();
  const { revision } = await storage.status();
  const sink = {
    events: (batch: readonly StorageEvent[]) => {
      events.push(...batch);
      if ((batch.at(-1)?.revision ?? 0) >= revision) reached.resolve();
    },
  };
  const watching = storage.watch('/registry/', { after }, sink, stop.signal);
  if (revision > after) await reached.promise;
  stop.abort();
  await watching;
  return events;
}
