import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { FakeClock } from '../util/clock.fake.ts';
import { silent } from '../util/log.ts';
import { LmdbStorage } from './lmdb.ts';
import { snapshotStatus } from './snapshot.ts';
import { DEFAULT_BUMP, restoreSnapshot, saveDirectory } from './store-directory.ts';

describe('snapshots', () => {
  const clock = new FakeClock();
  let directory: string;
  const open = (name: string): Promise<LmdbStorage> =>
    LmdbStorage.open(join(directory, name), { clock, log: silent });
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'k8ts-snapshot-'));
  });
  afterEach(() => rmSync(directory, { recursive: true }));

  it('hold the state of a store in use, and give it back with its revisions and times to live', async () => {
    const before = await open('before');
    const first = await before.create('/registry/pods/a', Buffer.from('{"a":1}'));
    const second = await before.update('/registry/pods/a', Buffer.from('{"a":2}'), first);
    const gone = await before.create('/registry/pods/gone', Buffer.from('{}'));
    await before.create('/registry/events/e', Buffer.from('{}'), { ttlSeconds: 60 });
    const last = await before.delete('/registry/pods/gone', gone);
    const file = join(directory, 'snapshot');
    const saved = await saveDirectory(join(directory, 'before'), file);
    await before.update('/registry/pods/a', Buffer.from('{"a":3}'), second);
    expect(saved).toMatchObject({ revision: last, keys: 2 });
    expect(await snapshotStatus(file)).toEqual(saved);

    await restoreSnapshot(file, join(directory, 'after'));
    const after = await open('after');
    const { items, revision } = await after.list('/registry/');
    expect(revision).toBe(last + DEFAULT_BUMP);
    expect(items.map((kv) => [kv.key, kv.revision, kv.value.toString()])).toEqual([
      ['/registry/events/e', gone + 1, '{}'],
      ['/registry/pods/a', second, '{"a":2}'],
    ]);
    expect(await after.update('/registry/pods/a', Buffer.from('{}'), second)).toBe(
      last + DEFAULT_BUMP + 1,
    );
    await clock.advance(61_000);
    await expect.poll(() => after.get('/registry/events/e')).toBeUndefined();
    await before.close();
    await after.close();
  });

  it('are refused when damaged, and never overwrite a store', async () => {
    const storage = await open('store');
    await storage.create('/registry/pods/a', Buffer.from('{"a":1}'));
    const file = join(directory, 'snapshot');
    await saveDirectory(join(directory, 'store'), file);
    await expect(restoreSnapshot(file, join(directory, 'store'))).rejects.toThrow('not empty');
    await expect(saveDirectory(join(directory, 'store'), file)).rejects.toThrow('exists already');
    const content = readFileSync(file);
    content[content.indexOf('"a":1') + 4] = 0x32;
    writeFileSync(file, content);
    await expect(snapshotStatus(file)).rejects.toThrow('checksum is wrong');
    writeFileSync(file, content.subarray(0, 80));
    await expect(snapshotStatus(file)).rejects.toThrow('damaged');
    await storage.close();
  });
});
