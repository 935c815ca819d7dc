import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { EtcdStorage } from '../src/storage/etcd.ts';
import { LmdbStorage } from '../src/storage/lmdb.ts';
import type { Storage } from '../src/storage/storage.ts';
import { realClock } from '../src/util/clock.ts';
import { silent } from '../src/util/log.ts';
import { startEtcd } from '../test/support/etcd.ts';

// Durable writes of 1.5 kB: ours beside a real etcd on the same disk, in one run.

const VALUE = Buffer.alloc(1500, 'x');
const WRITERS = [1, 16, 256, 1000];
const SECONDS = 3;

interface Figures {
  creates: number;
  updates: number;
  gets: number;
  p99: number;
  errors: number;
}

async function measure(storage: Storage, writers: number): Promise<Figures> {
  let errors = 0;
  const keys: { key: string; revision: number }[] = [];
  const latencies: number[] = [];
  const timed = async (action: () => Promise<void>): Promise<void> => {
    const start = performance.now();
    await action().catch(() => {
      errors++;
    });
    latencies.push(performance.now() - start);
  };
  const rate = async (action: (writer: number, n: number) => Promise<void>): Promise<number> => {
    const start = performance.now();
    const end = start + SECONDS * 1000;
    let done = 0;
    await Promise.all(
      Array.from({ length: writers }, async (_, writer) => {
        for (let n = 0; performance.now() < end; n++) {
          await timed(() => action(writer, n));
          done++;
        }
      }),
    );
    return done / ((performance.now() - start) / 1000);
  };
  const run = `${writers}-${Math.random()}`;
  const creates = await rate(async (writer, n) => {
    const key = `/registry/bench/${run}/${writer}/${n}`;
    keys.push({ key, revision: await storage.create(key, VALUE) });
  });
  const mine = keys.slice(0, writers);
  const updates = await rate(async (writer) => {
    const own = mine[writer % mine.length];
    if (own) own.revision = await storage.update(own.key, VALUE, own.revision);
  });
  const p99 = percentile(latencies, 0.99);
  const gets = await rate(async (writer) => {
    await storage.get(mine[writer % mine.length]?.key ?? '');
  });
  return { creates, updates, gets, p99, errors };
}

function percentile(values: number[], share: number): number {
  values.sort((a, b) => a - b);
  return values[Math.floor(values.length * share)] ?? 0;
}

const directory = mkdtempSync(join(tmpdir(), 'k8ts-bench-'));
const lmdb = await LmdbStorage.open(directory, { clock: realClock, log: silent });
const cluster = await startEtcd();
const etcd = new EtcdStorage({ endpoints: cluster.endpoints }, { clock: realClock });
console.log(
  'writers  engine  creates/s  updates/s  gets/s  p99 write ms  errors  creates: lmdb / etcd',
);
for (const writers of WRITERS) {
  const peer = await measure(etcd, writers);
  const ours = await measure(lmdb, writers);
  for (const [engine, f] of [
    ['etcd', peer],
    ['lmdb', ours],
  ] as const) {
    const ratio = engine === 'lmdb' ? `${(ours.creates / peer.creates).toFixed(1)} x` : '';
    console.log(
      [writers, engine, f.creates.toFixed(0), f.updates.toFixed(0), f.gets.toFixed(0)]
        .concat([f.p99.toFixed(1), f.errors, ratio])
        .map((cell) => String(cell).padStart(9))
        .join(''),
    );
  }
}
await lmdb.close();
await etcd.close();
await cluster.stop();
rmSync(directory, { recursive: true, force: true });
