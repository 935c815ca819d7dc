import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type DumpItem, isStorageError, type Storage, type StorageEvent } from './storage.ts';

export interface StorageFixture {
  storage: Storage;
  /** Lets so many seconds pass for keys with a time to live. */
  passTime(seconds: number): Promise<void>;
  dispose(): Promise<void>;
}

const bytes = (text: string): Buffer => Buffer.from(text);

/** What every engine must keep of Storage's promises. */
export function storageContract(name: string, open: () => Promise<StorageFixture>): void {
  describe(`${name} keeps the storage contract`, () => {
    let fixture: StorageFixture;
    let storage: Storage;
    const stop = new AbortController();
    beforeEach(async () => {
      fixture = await open();
      storage = fixture.storage;
    });
    afterEach(() => fixture.dispose());

    const keys = async (prefix: string, options = {}): Promise<string[]> =>
      (await storage.list(prefix, options)).items.map((kv) => kv.key);

    it('get answers what create wrote, with its revision', async () => {
      const revision = await storage.create('/r/a', bytes('1'));
      const found = await storage.get('/r/a');
      expect(found?.value.toString()).toBe('1');
      expect(found?.revision).toBe(revision);
      expect(await storage.get('/r/b')).toBeUndefined();
    });

    it('create refuses an existing key and accepts one that was removed', async () => {
      const first = await storage.create('/r/a', bytes('1'));
      await expect(storage.create('/r/a', bytes('2'))).rejects.toSatisfy((e) =>
        isStorageError(e, 'exists'),
      );
      await storage.delete('/r/a', first);
      expect(await storage.create('/r/a', bytes('3'))).toBeGreaterThan(first);
    });

    it('update and delete refuse any but the newest revision', async () => {
      const first = await storage.create('/r/a', bytes('1'));
      const second = await storage.update('/r/a', bytes('2'), first);
      for (const stale of [
        () => storage.update('/r/a', bytes('x'), first),
        () => storage.delete('/r/a', first),
        () => storage.update('/r/none', bytes('x'), second),
      ]) {
        await expect(stale()).rejects.toSatisfy((e) => isStorageError(e, 'conflict'));
      }
      await storage.delete('/r/a', second);
      expect(await storage.get('/r/a')).toBeUndefined();
    });

    it('revisions grow by one store-wide sequence', async () => {
      const a = await storage.create('/r/a', bytes('1'));
      const b = await storage.create('/s/b', bytes('1'));
      const c = await storage.update('/r/a', bytes('2'), a);
      expect([b > a, c > b]).toEqual([true, true]);
      expect((await storage.list('/r/')).revision).toBe(c);
    });

    it('of concurrent writers of one key exactly one wins each round', async () => {
      let revision = await storage.create('/r/a', bytes('0'));
      for (let round = 0; round < 5; round++) {
        const results = await Promise.allSettled(
          Array.from({ length: 16 }, (_, i) => storage.update('/r/a', bytes(`${i}`), revision)),
        );
        const won = results.filter((r) => r.status === 'fulfilled');
        expect(won).toHaveLength(1);
        revision = won[0]?.value ?? 0;
        expect((await storage.get('/r/a'))?.revision).toBe(revision);
      }
    });

    it('list answers keys in byte order, below the prefix only', async () => {
      for (const key of ['/r/b/2', '/r/a/1', '/r/b-x/3', '/rr/x', '/q']) {
        await storage.create(key, bytes(key));
      }
      expect(await keys('/r/')).toEqual(['/r/a/1', '/r/b-x/3', '/r/b/2']);
      expect(await keys('/r/b/')).toEqual(['/r/b/2']);
    });

    it('list pages through one old revision while the keys change', async () => {
      for (const n of ['a', 'b', 'c', 'd', 'e']) await storage.create(`/r/${n}`, bytes('old'));
      const page = await storage.list('/r/', { limit: 2, count: true });
      expect([page.items.length, page.remaining]).toEqual([2, 3]);
      expect((await storage.list('/r/', { limit: 2 })).remaining).toBeGreaterThanOrEqual(1);
      expect((await storage.list('/r/', { limit: 5 })).remaining).toBe(0);
      const c = await storage.get('/r/c');
      await storage.update('/r/c', bytes('new'), c?.revision ?? 0);
      const d = await storage.get('/r/d');
      await storage.delete('/r/d', d?.revision ?? 0);
      await storage.create('/r/cc', bytes('new'));
      const rest = await storage.list('/r/', { after: '/r/b', revision: page.revision });
      expect(rest.items.map((kv) => [kv.key, kv.value.toString()])).toEqual([
        ['/r/c', 'old'],
        ['/r/d', 'old'],
        ['/r/e', 'old'],
      ]);
      expect(await keys('/r/')).toEqual(['/r/a', '/r/b', '/r/c', '/r/cc', '/r/e']);
    });

    it('list refuses compacted and future revisions', async () => {
      const first = await storage.create('/r/a', bytes('1'));
      const second = await storage.update('/r/a', bytes('2'), first);
      await storage.compact(second);
      await expect(storage.list('/r/', { revision: first })).rejects.toSatisfy((e) =>
        isStorageError(e, 'compacted'),
      );
      await expect(storage.list('/r/', { revision: second + 99 })).rejects.toSatisfy((e) =>
        isStorageError(e, 'future'),
      );
      expect(await keys('/r/', { revision: second })).toEqual(['/r/a']);
    });

    it('watch delivers history behind a revision, then what happens, in order and once', async () => {
      const first = await storage.create('/r/a', bytes('1'));
      const second = await storage.update('/r/a', bytes('2'), first);
      const seen: StorageEvent[] = [];
      const done = storage.watch(
        '/r/',
        { after: first },
        { events: (batch) => void seen.push(...batch) },
        stop.signal,
      );
      await storage.create('/other', bytes('x'));
      const third = await storage.delete('/r/a', second);
      const created = await Promise.all(
        Array.from({ length: 50 }, (_, i) => storage.create(`/r/n${i}`, bytes(`${i}`))),
      );
      await expect.poll(() => seen.length).toBe(52);
      expect(seen.slice(0, 2).map((e) => [e.revision, e.value?.toString()])).toEqual([
        [second, '2'],
        [third, undefined],
      ]);
      const revisions = seen.map((e) => e.revision);
      expect(revisions).toEqual([...revisions].sort((a, b) => a - b));
      expect(new Set(revisions)).toEqual(new Set([second, third, ...created]));
      void done;
    });

    it('watch loses nothing when it starts amid writes', async () => {
      const start = (await storage.list('/r/')).revision;
      const writes: Promise<number>[] = [];
      const seen = new Set<number>();
      for (let i = 0; i < 100; i++) {
        writes.push(storage.create(`/r/${i}`, bytes('x')));
        if (i === 50) {
          void storage.watch(
            '/r/',
            { after: start },
            {
              events: (batch) => {
                for (const e of batch) {
                  expect(seen.has(e.revision)).toBe(false);
                  seen.add(e.revision);
                }
              },
            },
            stop.signal,
          );
        }
        if (i % 10 === 0) await writes.at(-1);
      }
      const revisions = await Promise.all(writes);
      await expect.poll(() => seen.size).toBe(100);
      expect(seen).toEqual(new Set(revisions));
    });

    it('watch ends when its signal aborts', async () => {
      const end = new AbortController();
      const seen: StorageEvent[] = [];
      const { revision } = await storage.list('/r/');
      const done = storage.watch(
        '/r/',
        { after: revision },
        { events: (batch) => void seen.push(...batch) },
        end.signal,
      );
      end.abort();
      await done;
      await storage.create('/r/a', bytes('1'));
      expect(seen).toEqual([]);
    });

    it('compaction keeps the newest state and cuts old watches off', async () => {
      let revision = await storage.create('/r/a', bytes('0'));
      const gone = await storage.create('/r/gone', bytes('x'));
      for (let i = 1; i < 20; i++) revision = await storage.update('/r/a', bytes(`${i}`), revision);
      const removed = await storage.delete('/r/gone', gone);
      await storage.compact(removed);
      expect((await storage.get('/r/a'))?.value.toString()).toBe('19');
      expect(await storage.get('/r/gone')).toBeUndefined();
      expect(await keys('/r/')).toEqual(['/r/a']);
      const old = storage.watch('/r/', { after: gone }, { events: () => {} }, stop.signal);
      await expect(old).rejects.toSatisfy((e) => isStorageError(e, 'compacted'));
      const seen: StorageEvent[] = [];
      void storage.watch(
        '/r/',
        { after: removed },
        { events: (batch) => void seen.push(...batch) },
        stop.signal,
      );
      const next = await storage.create('/r/gone', bytes('again'));
      await expect.poll(() => seen.map((e) => e.revision)).toEqual([next]);
      expect((await storage.status()).compacted).toBe(removed);
    });

    it('a dump is everything as of one revision, while writes go on', async () => {
      const written = await Promise.all(
        Array.from({ length: 500 }, (_, i) => storage.create(`/registry/n${i}`, bytes(`${i}`))),
      );
      await storage.create('/registry/brief', bytes('x'), { ttlSeconds: 100 });
      const gone = await storage.create('/registry/gone', bytes('x'));
      await storage.delete('/registry/gone', gone);
      const dump = await storage.dump();
      const later = written.map((at, i) => storage.update(`/registry/n${i}`, bytes('new'), at));
      await Promise.all(later.slice(0, 250));
      const found = new Map<string, DumpItem>();
      for await (const item of dump.items) found.set(item.key, item);
      await Promise.all(later);
      expect(found.size).toBe(501);
      for (const [i, revision] of written.entries()) {
        const { value, ...rest } = found.get(`/registry/n${i}`) ?? { value: bytes('') };
        expect([value.toString(), rest]).toEqual([
          `${i}`,
          { key: `/registry/n${i}`, revision, expires: 0 },
        ]);
      }
      expect(found.get('/registry/brief')?.expires).toBeGreaterThan(0);
      expect(dump.revision).toBeLessThan(Math.min(...(await Promise.all(later))));
    });

    it('a key with a time to live vanishes with an event, unless written again', {
      timeout: 20_000,
    }, async () => {
      await storage.create('/r/brief', bytes('1'), { ttlSeconds: 2 });
      const kept = await storage.create('/r/kept', bytes('1'), { ttlSeconds: 2 });
      await storage.update('/r/kept', bytes('2'), kept);
      const removed: string[] = [];
      void storage.watch(
        '/r/',
        { after: (await storage.list('/r/')).revision },
        {
          events: (batch) => void removed.push(...batch.filter((e) => !e.value).map((e) => e.key)),
        },
        stop.signal,
      );
      await fixture.passTime(3);
      await expect.poll(() => removed, { timeout: 30_000 }).toEqual(['/r/brief']);
      expect(await keys('/r/')).toEqual(['/r/kept']);
    });
  });
}
