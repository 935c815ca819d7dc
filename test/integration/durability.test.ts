import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { LmdbStorage } from '../../src/storage/lmdb.ts';
import type { StorageEvent } from '../../src/storage/storage.ts';
import { realClock } from '../../src/util/clock.ts';
import { silent } from '../../src/util/log.ts';

// A process that writes is killed at a random moment, again and again; then everything that it was told is durable
// must be there: state, revisions, history.

const ROUNDS = 15;
const WRITERS = 8;

interface Acknowledged {
  readonly key: string;
  readonly revision: number;
  /** Undefined: removed. */
  readonly value: string | undefined;
}

/** Runs a writer and kills it; answers what it was promised. */
async function writeAndKill(directory: string): Promise<Acknowledged[]> {
  const script = resolve('test/support/store-writer.ts');
  const child = spawn(process.execPath, [script, directory, String(WRITERS)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let output = '';
  child.stdout.on('data', (chunk) => {
    output += chunk;
  });
  await once(child.stdout, 'data');
  await sleep(Math.random() * 120);
  child.kill('SIGKILL');
  await once(child, 'close');
  const lines = output.slice(0, output.lastIndexOf('\n')).split('\n');
  return lines.map((line) => {
    const [key = '', revision, value = '-'] = line.split(' ');
    return { key, revision: Number(revision), value: value === '-' ? undefined : value };
  });
}

async function historyOf(storage: LmdbStorage): Promise<StorageEvent[]> {
  const events: StorageEvent[] = [];
  const stop = new AbortController();
  const sink = { events: (batch: readonly StorageEvent[]) => void events.push(...batch) };
  const watching = storage.watch('/registry/', { after: 0 }, sink, stop.signal);
  const { revision } = await storage.status();
  await expect.poll(() => events.at(-1)?.revision ?? 0).toBe(revision);
  stop.abort();
  await watching;
  return events;
}

describe('the embedded store under SIGKILL', () => {
  let directory: string;
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'k8ts-kill-'));
  });
  afterEach(() => rmSync(directory, { recursive: true }));

  it('keeps every acknowledged write, its revision and its event', {
    timeout: 120_000,
  }, async () => {
    const promised: Acknowledged[] = [];
    for (let round = 0; round < ROUNDS; round++) {
      promised.push(...(await writeAndKill(directory)));
      const storage = LmdbStorage.open(directory, { clock: realClock, log: silent });
      const history = await historyOf(storage);
      const revisions = history.map((event) => event.revision);
      expect(revisions).toEqual([...new Set(revisions)].sort((a, b) => a - b));
      const byRevision = new Map(history.map((event) => [event.revision, event]));
      for (const { key, revision, value } of promised) {
        const event = byRevision.get(revision);
        expect([event?.key, event?.value?.toString()]).toEqual([key, value]);
      }
      // The state is what the history leads to.
      const state = new Map<string, StorageEvent>();
      for (const event of history) state.set(event.key, event);
      const expected = [...state.values()].filter((e) => e.value).map((e) => [e.key, e.revision]);
      const { items } = await storage.list('/registry/');
      expect(items.map((kv) => [kv.key, kv.revision])).toEqual(
        expected.sort(([a], [b]) => (String(a) < String(b) ? -1 : 1)),
      );
      await storage.close();
    }
    expect(promised.length).toBeGreaterThan(ROUNDS * WRITERS);
  });
});
