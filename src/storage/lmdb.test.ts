import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { FakeClock } from '../util/clock.fake.ts';
import { silent } from '../util/log.ts';
import { LmdbStorage } from './lmdb.ts';
import { storageContract } from './storage.contract.ts';

const temporary = (): string => mkdtempSync(join(tmpdir(), 'k8ts-lmdb-'));

storageContract('lmdb', async () => {
  const path = temporary();
  const clock = new FakeClock();
  const storage = await LmdbStorage.open(path, { clock, log: silent });
  return {
    storage,
    passTime: (seconds) => clock.advance(seconds * 1000),
    dispose: async () => {
      await storage.close();
      rmSync(path, { recursive: true });
    },
  };
});

describe('LmdbStorage', () => {
  let path: string;
  beforeEach(() => {
    path = temporary();
  });
  afterEach(() => rmSync(path, { recursive: true }));

  it('finds values, revisions and history again after a restart', async () => {
    const clock = new FakeClock();
    const before = await LmdbStorage.open(path, { clock, log: silent });
    const first = await before.create('/r/a', Buffer.from('1'));
    const second = await before.update('/r/a', Buffer.from('2'), first);
    const last = await before.delete('/r/a', second);
    await before.compact(last);
    await before.close();

    const after = await LmdbStorage.open(path, { clock, log: silent });
    expect(await after.status()).toMatchObject({ revision: last, compacted: last });
    expect(await after.create('/r/a', Buffer.from('3'))).toBe(last + 1);
    await after.close();
  });

  it('lets reads and writes go on while it compacts', async () => {
    const storage = await LmdbStorage.open(path, { clock: new FakeClock(), log: silent });
    const all = Array.from({ length: 5000 }, (_, i) => storage.create(`/r/${i}`, Buffer.from('1')));
    const revisions = await Promise.all(all);
    const removed = revisions.map((revision, i) => storage.delete(`/r/${i}`, revision));
    const last = Math.max(...(await Promise.all(removed)));
    let own = await storage.create('/other/a', Buffer.from('0'));
    let isCompacting = true;
    const compaction = storage.compact(last).then(() => {
      isCompacting = false;
    });
    let writes = 0;
    // A step forgets 200 of these 10,000 revisions: if it went on in one piece, none or one of them would be done by then.
    while (isCompacting) {
      own = await storage.update('/other/a', Buffer.from(`${++writes}`), own);
      expect((await storage.get('/other/a'))?.value.toString()).toBe(String(writes));
    }
    await compaction;
    expect(writes).toBeGreaterThan(20);
    expect(await storage.status()).toMatchObject({ compacted: last, revision: own });
    await storage.close();
  });

  it('removes after a restart what expired meanwhile', async () => {
    const clock = new FakeClock();
    const before = await LmdbStorage.open(path, { clock, log: silent });
    await before.create('/r/a', Buffer.from('1'), { ttlSeconds: 5 });
    await before.close();
    await clock.advance(6_000);
    const after = await LmdbStorage.open(path, { clock, log: silent });
    await clock.advance(1);
    await expect.poll(() => after.get('/r/a')).toBeUndefined();
    await after.close();
  });
});
