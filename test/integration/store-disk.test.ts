import { spawnSync } from 'node:child_process';
import {
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { LmdbStorage } from '../../src/storage/lmdb.ts';
import { isStorageError, type KeyValue, type StorageEvent } from '../../src/storage/storage.ts';
import { restoreSnapshot, saveDirectory } from '../../src/storage/store-directory.ts';
import { realClock } from '../../src/util/clock.ts';
import { silent } from '../../src/util/log.ts';
import { startApiProcess } from '../support/api-process.ts';
import { examine, live } from '../support/robustness/lives.ts';
import { StoreModel } from '../support/robustness/model.ts';

// The embedded store on disks that fill up and lose their power. Mounts: needs root.

let directory: string;
let disk: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'k8ts-disk-'));
  disk = join(directory, 'disk');
  mkdirSync(disk);
});
afterEach(() => {
  spawnSync('umount', [disk]);
  rmSync(directory, { recursive: true });
});

function run(program: string, ...args: string[]): void {
  const { status, stderr } = spawnSync(program, args);
  expect(status, `${program} ${args.join(' ')}: ${stderr}`).toBe(0);
}

const value = (size: number, fill: string): Buffer => Buffer.alloc(size, fill);
const revisionsOf = (items: readonly KeyValue[]): number[] =>
  items.map((kv) => kv.revision).sort((a, b) => a - b);

describe('a full disk', () => {
  it('fails writes, keeps reads and watches, and takes writes again when space returns', {
    timeout: 300_000,
  }, async () => {
    run('mount', '-t', 'tmpfs', '-o', 'size=4m', 'tmpfs', disk);
    const ballast = join(disk, 'ballast');
    writeFileSync(ballast, value(1 << 20, 'b'));
    const storage = await LmdbStorage.open(join(disk, 'store'), { clock: realClock, log: silent });
    const seen: StorageEvent[] = [];
    const stop = new AbortController();
    const watching = storage.watch(
      '/registry/',
      { after: 0 },
      { events: (batch) => void seen.push(...batch) },
      stop.signal,
    );
    const written: number[] = [];
    let failure: unknown;
    for (let i = 0; failure === undefined && i < 2000; i++) {
      await storage.create(`/registry/n${i}`, value(20_000, 'x')).then(
        (revision) => void written.push(revision),
        (err: unknown) => {
          failure = err;
        },
      );
    }
    expect(failure).toSatisfy((err) => isStorageError(err, 'no-space'));
    expect((failure as Error).message).toMatch(/^The disk of the store is full/);
    expect((await storage.get('/registry/n0'))?.value.length).toBe(20_000);
    expect(revisionsOf((await storage.list('/registry/')).items)).toEqual(written);
    await expect(storage.create('/registry/again', value(50_000, 'x'))).rejects.toSatisfy((err) =>
      isStorageError(err, 'no-space'),
    );
    rmSync(ballast);
    const next = await storage.create('/registry/after', value(20_000, 'x'));
    // Revisions of failed writes are used again: nobody has seen them.
    expect(next).toBe(written.length + 1);
    await expect.poll(() => seen.map((e) => e.revision)).toEqual([...written, next]);
    stop.abort();
    await watching;
    await storage.close();
    const again = await LmdbStorage.open(join(disk, 'store'), { clock: realClock, log: silent });
    expect(revisionsOf((await again.list('/')).items)).toEqual([...written, next]);
    await again.close();
  });
});

describe('an API server on a full disk', () => {
  const path = '/api/v1/namespaces/default/configmaps';

  it('refuses writes with a Status and raises an alarm, reads go on, and it recovers', {
    timeout: 300_000,
  }, async () => {
    run('mount', '-t', 'tmpfs', '-o', 'size=8m', 'tmpfs', disk);
    const ballast = join(disk, 'ballast');
    writeFileSync(ballast, value(1 << 20, 'b'));
    const server = await startApiProcess({ storage: () => ['--data-dir', join(disk, 'store')] });
    const alarm = async (): Promise<string | undefined> =>
      /apiserver_storage_alarm\{alarm="NOSPACE"\} (\d)/.exec(
        (await server.send('GET', '/metrics')).text,
      )?.[1];
    const create = (name: string) =>
      server.send('POST', path, { metadata: { name }, data: { text: 'x'.repeat(50_000) } });
    try {
      expect(await alarm()).toBe('0');
      let made = 0;
      let answer = await create('n0');
      while (answer.status === 201 && made < 1000) answer = await create(`n${++made}`);
      expect(answer.status).toBe(500);
      expect(JSON.parse(answer.text)).toMatchObject({
        kind: 'Status',
        status: 'Failure',
        reason: 'InternalError',
        message: 'Internal error occurred: no space left on the disk of the store',
      });
      expect(await alarm()).toBe('1');
      const list = await server.send('GET', path);
      expect([list.status, JSON.parse(list.text).items.length]).toEqual([200, made]);
      expect((await server.send('GET', `${path}/n0`)).status).toBe(200);
      expect((await server.send('GET', '/readyz')).status).toBe(200);
      rmSync(ballast);
      expect((await create('after')).status).toBe(201);
      expect(await alarm()).toBe('0');
    } finally {
      await server.stop();
    }
  });
});

describe('a file system of its own', () => {
  it('takes a restored store at its root, once, also after a restore that was killed', async () => {
    run('mount', '-t', 'tmpfs', '-o', 'size=16m', 'tmpfs', disk);
    mkdirSync(join(disk, 'lost+found'));
    mkdirSync(join(disk, 'restore.partial'));
    writeFileSync(join(disk, 'restore.partial', 'data.mdb'), 'torn');
    const deps = { clock: realClock, log: silent };
    const before = await LmdbStorage.open(join(directory, 'before'), deps);
    await before.create('/registry/a', value(10, 'a'));
    await before.close();
    const file = join(directory, 'snapshot');
    await saveDirectory(join(directory, 'before'), file);
    await restoreSnapshot(file, disk);
    await expect(restoreSnapshot(file, disk)).rejects.toThrow('is not empty');
    const after = await LmdbStorage.open(disk, deps);
    expect((await after.get('/registry/a'))?.value).toEqual(value(10, 'a'));
    await after.close();
    expect(readdirSync(disk)).not.toContain('restore.partial');
  });

  it('holds nothing of a snapshot that turned out to be damaged', async () => {
    run('mount', '-t', 'tmpfs', '-o', 'size=16m', 'tmpfs', disk);
    const file = join(directory, 'snapshot');
    writeFileSync(file, '{"format":"k8ts-snapshot/v1","revision":1}\n{"key":"/registry/a","by');
    await expect(restoreSnapshot(file, disk)).rejects.toThrow('damaged');
    expect(readdirSync(disk)).toEqual([]);
    await expect(restoreSnapshot(file, join(disk, 'new'))).rejects.toThrow('damaged');
    expect(readdirSync(disk)).toEqual([]);
  });
});

describe('a disk that loses its power', () => {
  const CUTS = 12;

  it('holds every acknowledged write, whatever had not been flushed', {
    timeout: 300_000,
  }, async () => {
    const image = join(directory, 'image');
    const after = join(directory, 'after');
    writeFileSync(image, '');
    truncateSync(image, 32 * 2 ** 20);
    run('mkfs.ext4', '-q', image);
    const model = new StoreModel();
    // The file system writes nothing by itself while a copy is made.
    const mount = (): void => run('mount', '-o', 'loop,commit=300', image, disk);
    for (let cut = 0; cut < CUTS; cut++) {
      mount();
      const lines = await live(join(disk, 'store'), (traffic) => {
        traffic.kill('SIGSTOP');
        // What was not flushed is in the kernel's memory, not in the image: that is what remains of the disk.
        copyFileSync(image, after);
        traffic.kill('SIGKILL');
      });
      run('umount', disk);
      copyFileSync(after, image);
      mount();
      expect(await examine(join(disk, 'store'), model, lines)).toEqual([]);
      run('umount', disk);
    }
    expect(model.last).toBeGreaterThan(CUTS * 5);
  });
});
