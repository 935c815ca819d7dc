import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { FakeClock } from '../util/clock.fake.ts';
import { silent } from '../util/log.ts';
import { LmdbStorage } from './lmdb.ts';
import { type KeyValue, StorageError } from './storage.ts';
import { defragment, directoryStatus } from './store-directory.ts';

const deps = { clock: new FakeClock(), log: silent };
const value = (size: number, fill: string): Buffer => Buffer.alloc(size, fill);

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'k8ts-faults-'));
});
afterEach(() => rmSync(directory, { recursive: true }));

/** A store with values of all sizes, history and gaps. Answers what it holds. */
async function fill(path: string): Promise<KeyValue[]> {
  const storage = await LmdbStorage.open(path, deps);
  const sizes = [10, 300, 1500, 5000];
  const revisions = await Promise.all(
    Array.from({ length: 400 }, (_, i) =>
      storage.create(`/registry/pods/p${i}`, value(sizes[i % 4] ?? 10, `${i % 10}`)),
    ),
  );
  await Promise.all(
    revisions
      .slice(0, 100)
      .map((at, i) => storage.update(`/registry/pods/p${i}`, value(99, 'u'), at)),
  );
  await Promise.all(
    revisions.slice(300).map((at, i) => storage.delete(`/registry/pods/p${i + 300}`, at)),
  );
  await storage.compact((await storage.status()).revision - 50);
  await storage.create('/registry/events/e', value(20, 'e'), { ttlSeconds: 3600 });
  const { items } = await storage.list('/');
  await storage.close();
  return items;
}

/** Puts a page, the root of all tables unless told otherwise, into the first list of free pages of the newest snapshot. */
function listAsFree(data: Buffer, page?: bigint): void {
  const [older, newer] = [0, 4096].sort((a, b) =>
    data.readBigUInt64LE(a + 152) < data.readBigUInt64LE(b + 152) ? -1 : 1,
  );
  const meta = newer ?? older ?? 0;
  const leaf = Number(data.readBigUInt64LE(meta + 88)) * 4096;
  const node = leaf + 24 + data.readUInt16LE(leaf + 24);
  let list = node + 8 + data.readUInt16LE(node + 6);
  const hasOwnPages = data.readUInt16LE(node + 4) === 1;
  if (hasOwnPages) list = Number(data.readBigUInt64LE(list)) * 4096 + 24;
  let entry = list + 8;
  while (data.readBigInt64LE(entry) <= 0n) entry += data.readBigInt64LE(entry) < 0n ? 16 : 8;
  data.writeBigUInt64LE(page ?? data.readBigUInt64LE(meta + 136), entry);
}

async function contentOf(path: string): Promise<KeyValue[]> {
  const storage = await LmdbStorage.open(path, deps);
  const { items } = await storage.list('/');
  await storage.close();
  return items;
}

describe('a damaged data file', () => {
  const store = (): string => join(directory, 'store');
  const file = (): string => join(store(), 'data.mdb');
  /** Bytes of the file that hold something; zeros follow. */
  const used = async (): Promise<number> => (await directoryStatus(store())).size;
  const refused = async (): Promise<string> => {
    try {
      await (await LmdbStorage.open(store(), deps)).close();
    } catch (err) {
      expect(err).toBeInstanceOf(StorageError);
      return (err as Error).message;
    }
    throw new Error('It was not refused');
  };

  it('is refused when it was cut off', async () => {
    await fill(store());
    truncateSync(file(), (await used()) / 2);
    expect(await refused()).toMatch(/data\.mdb is damaged: it is cut off/);
    truncateSync(file(), 100);
    expect(await refused()).toMatch(/data\.mdb is damaged: it is cut off/);
  });

  it('is refused when it is empty, gone, or something else', async () => {
    await fill(store());
    truncateSync(file(), 0);
    expect(await refused()).toMatch(/data\.mdb is empty: restore a snapshot/);
    rmSync(file());
    expect(await refused()).toMatch(/data\.mdb is gone: restore a snapshot/);
    writeFileSync(file(), value(1 << 16, 'x'));
    expect(await refused()).toMatch(/damaged: neither of its two head pages is valid/);
    expect(readFileSync(file()).equals(value(1 << 16, 'x'))).toBe(true);
    writeFileSync(join(store(), 'format'), 'k8ts-store/v99\n');
    expect(await refused()).toMatch(/has the format k8ts-store\/v99, this version reads/);
  });

  it('is refused when a page was torn: half old, half new', async () => {
    await fill(store());
    const whole = readFileSync(file());
    const end = await used();
    let found = 0;
    for (let page = 2; page * 4096 < end; page += 7) {
      const torn = Buffer.from(whole);
      torn.fill(0, page * 4096 + 512, (page + 1) * 4096);
      writeFileSync(file(), torn);
      found += await contentOf(store()).then(
        () => 0,
        (err: Error) => Number(/is damaged/.test(err.message)),
      );
    }
    expect(found).toBeGreaterThan(5);
  });

  it('is refused when a page in use is listed as free: it would be written over', async () => {
    await fill(store());
    const damaged = readFileSync(file());
    listAsFree(damaged);
    writeFileSync(file(), damaged);
    expect(await refused()).toMatch(/damaged: page \d+ is used twice/);
    listAsFree(damaged, 1n << 40n);
    writeFileSync(file(), damaged);
    expect(await refused()).toMatch(/damaged: the free page \d+ is none of its pages/);
  });

  it('never yields wrong data, whichever byte was flipped', async () => {
    const before = await fill(store());
    const end = await used();
    const whole = readFileSync(file()).subarray(0, end);
    const counts = { refused: 0, unharmed: 0 };
    // Reproducible: a multiplicative walk over the whole file.
    for (let n = 1, at = 12_345; n <= 300; n++, at = (at * 48_271) % 2_147_483_647) {
      const copy = join(directory, `flip-${n}`);
      mkdirSync(copy);
      cpSync(join(store(), 'format'), join(copy, 'format'));
      const flipped = Buffer.from(whole);
      const byte = at % end;
      flipped.writeUInt8(flipped.readUInt8(byte) ^ (1 << (n % 8)), byte);
      writeFileSync(join(copy, 'data.mdb'), flipped);
      try {
        expect(await contentOf(copy), `byte ${byte}`).toEqual(before);
        counts.unharmed++; // it lies in what nobody reads
      } catch (err) {
        if (!(err instanceof StorageError)) throw err;
        expect(err.message).toContain('damaged');
        counts.refused++;
      }
      rmSync(copy, { recursive: true });
    }
    expect(counts.refused).toBeGreaterThan(50);
  });
});

describe('a store has one owner', () => {
  it('a second one is refused while the first lives, and takes over when it was killed', async () => {
    const first = await LmdbStorage.open(directory, deps);
    await first.create('/registry/a', value(1, 'a'));
    await expect(LmdbStorage.open(directory, deps)).rejects.toThrow(/in use by another process/);
    await expect(defragment(directory)).rejects.toThrow(/in use by another process/);
    expect(await directoryStatus(directory)).toMatchObject({ inUse: true, keys: 1, revision: 1 });
    await first.close();
    const script = join(import.meta.dirname, '../../test/support/robustness/traffic.ts');
    const traffic = spawn(process.execPath, [script, directory, '2'], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const closed = once(traffic, 'close');
    // Read on to the end: it would not be killed, but die of a pipe that nobody reads.
    await new Promise<void>((resolve) => {
      let told = '';
      traffic.stdout.on('data', (chunk: Buffer) => {
        told += chunk;
        if (told.includes('"written"')) resolve();
      });
    });
    traffic.kill('SIGKILL');
    expect(await closed).toEqual([null, 'SIGKILL']);
    const second = await LmdbStorage.open(directory, deps);
    expect((await second.status()).revision).toBeGreaterThan(1);
    await second.close();
    expect((await directoryStatus(directory)).inUse).toBe(false);
  });
});

describe('defragmentation', () => {
  it('gives unused space back and keeps everything', async () => {
    const storage = await LmdbStorage.open(directory, deps);
    const made = await Promise.all(
      Array.from({ length: 1000 }, (_, i) => storage.create(`/registry/x${i}`, value(3000, 'x'))),
    );
    await Promise.all(made.slice(10).map((at, i) => storage.delete(`/registry/x${i + 10}`, at)));
    const { revision } = await storage.status();
    await storage.compact(revision);
    const { size, sizeInUse } = await storage.status();
    expect(sizeInUse).toBeLessThan(size / 4);
    const before = (await storage.list('/')).items;
    await storage.close();
    const sizes = await defragment(directory);
    expect(sizes.after).toBeLessThan(sizes.before / 4);
    const after = await LmdbStorage.open(directory, deps);
    expect((await after.list('/')).items).toEqual(before);
    expect(await after.status()).toMatchObject({ revision, compacted: revision });
    expect(await after.create('/registry/y', value(1, 'y'))).toBe(revision + 1);
    await after.close();
    expect(existsSync(join(directory, 'defragmented'))).toBe(false);
  });
});
