import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { examine, live } from '../support/robustness/lives.ts';
import { StoreModel } from '../support/robustness/model.ts';

// A process that works on a store is killed at a random moment, again and again. After each time the store must hold what
// the model allows (test/support/robustness/model.ts). `ROBUSTNESS_KILLS=2000` makes it go on until so many kills.

const KILLS = Number(process.env.ROBUSTNESS_KILLS ?? 300);
/** Stores at a time, and kills before a store is left for a new one. */
const STORES = 3;
const LIVES = 20;

/** One store through `lives` of its process. Answers how many acknowledged writes were checked. */
async function follow(lives: number): Promise<number> {
  const directory = mkdtempSync(join(tmpdir(), 'k8ts-kill-'));
  const model = new StoreModel();
  let acknowledged = 0;
  try {
    for (let life = 0; life < lives; life++) {
      const lines = await live(directory, (traffic) => traffic.kill('SIGKILL'));
      expect(await examine(directory, model, lines)).toEqual([]);
      acknowledged += lines.filter((line) => 'answer' in line && line.answer === 'written').length;
    }
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
  return acknowledged;
}

describe('the embedded store under SIGKILL', () => {
  it("keeps etcd's promises, however often its process is killed", {
    // On a busy machine a life takes seconds.
    timeout: 180_000 + KILLS * 3000,
  }, async () => {
    let kills = 0;
    let acknowledged = 0;
    const worker = async (): Promise<void> => {
      while (kills < KILLS) {
        kills += LIVES;
        acknowledged += await follow(LIVES).catch((err: unknown) => {
          kills = KILLS; // the others are about to end, too, and then their files
          throw err;
        });
      }
    };
    const ends = await Promise.allSettled(Array.from({ length: STORES }, worker));
    for (const end of ends) if (end.status === 'rejected') throw end.reason;
    process.stdout.write(`${kills} kills, ${acknowledged} acknowledged writes checked\n`);
    expect(acknowledged).toBeGreaterThan(kills);
  });
});
