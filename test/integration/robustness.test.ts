import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { LmdbStorage } from '../../src/storage/lmdb.ts';
import type { StorageEvent } from '../../src/storage/storage.ts';
import { realClock } from '../../src/util/clock.ts';
import { silent } from '../../src/util/log.ts';
import { type Line, StoreModel } from '../support/robustness/model.ts';

// A process that works on a store is killed at a random moment, again and again. After each time the store must hold what
// the model allows (test/support/robustness/model.ts). It ends after a minute; `ROBUSTNESS_KILLS=2000` makes it go on
// until so many kills.

const wanted = process.env.ROBUSTNESS_KILLS;
const KILLS = Number(wanted ?? 300);
const DEADLINE_MS = wanted === undefined ? 45_000 : Number.POSITIVE_INFINITY;
/** Stores at a time, and kills before a store is left for a new one. */
const STORES = 3;
const LIVES = 20;
const CLIENTS = 8;

/** Lets the traffic work on the store for a moment, kills it, and answers what it told. */
async function live(directory: string): Promise<Line[]> {
  const script = resolve('test/support/robustness/traffic.ts');
  const child = spawn(process.execPath, [script, directory, String(CLIENTS)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let output = '';
  child.stdout.on('data', (chunk) => {
    output += chunk;
  });
  const exited = once(child, 'exit');
  // Mostly once it has written, sometimes while it still opens the store.
  const early = Math.random() < 0.2;
  while (!early && !output.includes('"written"')) {
    await Promise.race([once(child.stdout, 'data'), exited]);
    expect(child.exitCode, 'the traffic ended by itself').toBeNull();
  }
  await sleep(Math.random() * 80);
  child.kill('SIGKILL');
  await once(child, 'close');
  const lines = output
    .slice(0, output.lastIndexOf('\n') + 1)
    .split('\n')
    .slice(0, -1);
  return lines.map((line) => JSON.parse(line) as Line);
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

/** One store through `lives` of its process. Answers how many acknowledged writes were checked. */
async function follow(lives: number): Promise<number> {
  const directory = mkdtempSync(join(tmpdir(), 'k8ts-kill-'));
  const model = new StoreModel();
  let acknowledged = 0;
  try {
    for (let life = 0; life < lives; life++) {
      const lines = await live(directory);
      const storage = await LmdbStorage.open(directory, { clock: realClock, log: silent });
      const { compacted } = await storage.status();
      const history = await historyOf(storage, compacted);
      expect(model.check(lines, { after: compacted, history })).toEqual([]);
      const { items, revision } = await storage.list('/registry/');
      expect(revision).toBe(model.last);
      expect(new Map(items.map((kv) => [kv.key, kv.revision]))).toEqual(model.state);
      expect(compacted).toBeLessThanOrEqual(model.compacted);
      acknowledged += lines.filter((line) => 'answer' in line && line.answer === 'written').length;
      await storage.close();
    }
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
  return acknowledged;
}

describe('the embedded store under SIGKILL', () => {
  it("keeps etcd's promises, however often its process is killed", {
    timeout: 180_000 + KILLS * 2000,
  }, async () => {
    const deadline = performance.now() + DEADLINE_MS;
    let kills = 0;
    let acknowledged = 0;
    const worker = async (): Promise<void> => {
      while (kills < KILLS && performance.now() < deadline) {
        kills += LIVES;
        acknowledged += await follow(LIVES);
      }
    };
    await Promise.all(Array.from({ length: STORES }, worker));
    process.stdout.write(`${kills} kills, ${acknowledged} acknowledged writes checked\n`);
    expect(acknowledged).toBeGreaterThan(kills);
  });
});
