import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { EtcdStorage } from '../src/storage/etcd.ts';
import { LmdbStorage } from '../src/storage/lmdb.ts';
import type { Storage } from '../src/storage/storage.ts';
import { realClock } from '../src/util/clock.ts';
import { silent } from '../src/util/log.ts';
import { startEtcd } from '../test/support/etcd.ts';
import { eventually } from '../test/support/eventually.ts';
import { percentile, printer } from './support/table.ts';

// Durable writes of 1.5 kB: ours beside a real etcd on the same disk. The engines take turns, so that both meet the same
// machine; each figure is the median of its rounds, and a ratio that of the rounds' ratios. Both are driven from this process, with
// one connection to etcd. Arguments: numbers of writers, rounds.

const VALUE = Buffer.alloc(1500, 'x');
const WRITERS = (process.argv[2] ?? '1,16,256,1000').split(',').map(Number);
const ROUNDS = Number(process.argv[3] ?? 5);
const SECONDS = 1;
const RESOLUTION_MS = 5;

interface Figures {
  readonly creates: number;
  readonly updates: number;
  readonly gets: number;
  readonly lists: number;
  readonly p99: number;
  readonly errors: number;
  /** Events that a watch has told of; must be all writes. */
  readonly missed: number;
  readonly loopMax: number;
}

async function measure(storage: Storage, writers: number): Promise<Figures> {
  let errors = 0;
  let written = 0;
  let seen = 0;
  const keys: { key: string; revision: number }[] = [];
  const latencies: number[] = [];
  const prefix = `/registry/bench/${writers}-${Math.random()}/`;
  const stop = new AbortController();
  const { revision } = await storage.status();
  const sink = {
    events: (batch: readonly unknown[]) => {
      seen += batch.length;
    },
  };
  const watching = storage.watch(prefix, { after: revision }, sink, stop.signal);
  const delay = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  delay.enable();
  const rate = async (action: (writer: number, n: number) => Promise<void>): Promise<number> => {
    const start = performance.now();
    const end = start + SECONDS * 1000;
    let done = 0;
    await Promise.all(
      Array.from({ length: writers }, async (_, writer) => {
        for (let n = 0; performance.now() < end; n++) {
          const began = performance.now();
          await action(writer, n).catch(() => {
            errors++;
          });
          latencies.push(performance.now() - began);
          done++;
        }
      }),
    );
    return done / ((performance.now() - start) / 1000);
  };
  const creates = await rate(async (writer, n) => {
    const key = `${prefix}${writer}/${n}`;
    keys.push({ key, revision: await storage.create(key, VALUE) });
    written++;
  });
  const mine = keys.slice(0, writers);
  const updates = await rate(async (writer) => {
    const own = mine[writer];
    if (!own) return;
    own.revision = await storage.update(own.key, VALUE, own.revision);
    written++;
  });
  const p99 = percentile(latencies, 0.99);
  const gets = await rate(async (writer) => {
    await storage.get(mine[writer % mine.length]?.key ?? '');
  });
  const lists = await rate(async () => {
    await storage.list(prefix, { limit: 100 });
  });
  delay.disable();
  const deadline = performance.now() + 5000;
  while (seen < written && performance.now() < deadline) await new Promise(setImmediate);
  stop.abort();
  await watching;
  const loopMax = Math.max(0, delay.max / 1e6 - RESOLUTION_MS);
  return { creates, updates, gets, lists, p99, errors, missed: written - seen, loopMax };
}

function median(all: readonly Figures[]): Figures {
  const of = (field: keyof Figures): number =>
    percentile(
      all.map((f) => f[field]),
      0.5,
    );
  const worst = (field: keyof Figures): number => Math.max(...all.map((f) => f[field]));
  return {
    ...{ creates: of('creates'), updates: of('updates'), gets: of('gets'), lists: of('lists') },
    ...{
      p99: of('p99'),
      errors: worst('errors'),
      missed: worst('missed'),
      loopMax: worst('loopMax'),
    },
  };
}

const directory = mkdtempSync(join(tmpdir(), 'k8ts-bench-'));
const lmdb = await LmdbStorage.open(directory, { clock: realClock, log: silent });
const cluster = await startEtcd();
const etcd = new EtcdStorage(cluster.options, { clock: realClock });
const print = printer([
  'writers',
  'engine',
  'creates/s',
  'updates/s',
  'gets/s',
  'lists/s',
  'p99 write ms',
  'errors',
  'missed',
  'loop max ms',
  'creates: x etcd',
  'updates: x etcd',
]);
try {
  await eventually('etcd has elected a leader', () => etcd.list('/'), 60_000);
  for (const writers of WRITERS) await compare(writers);
  await compactDuringWrites();
  console.log('aim: at least 4 x etcd from 16 writers on, no errors at 1,000');
} finally {
  await lmdb.close();
  await etcd.close();
  await cluster.stop();
  rmSync(directory, { recursive: true, force: true });
}

async function compare(writers: number): Promise<void> {
  const peers: Figures[] = [];
  const ours: Figures[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    peers.push(await measure(etcd, writers));
    ours.push(await measure(lmdb, writers));
  }
  const peer = median(peers);
  const own = median(ours);
  const ratio = (field: 'creates' | 'updates'): string =>
    percentile(
      ours.map((round, i) => round[field] / (peers[i]?.[field] ?? Number.NaN)),
      0.5,
    ).toFixed(1);
  const ratios = [ratio('creates'), ratio('updates')];
  for (const [engine, f, more] of [
    ['etcd', peer, []],
    ['lmdb', own, ratios],
  ] as const) {
    const figures = [f.creates, f.updates, f.gets, f.lists].map((n) => n.toFixed(0));
    print([
      writers,
      engine,
      ...figures,
      f.p99.toFixed(1),
      f.errors,
      f.missed,
      f.loopMax.toFixed(0),
      ...more,
    ]);
  }
}

/** What writers notice of a compaction of all that was written above. */
async function compactDuringWrites(): Promise<void> {
  const { revision, compacted } = await lmdb.status();
  const quiet = await latenciesUntil(new Promise((resolve) => setTimeout(resolve, 2000)));
  const start = performance.now();
  const during = await latenciesUntil(lmdb.compact(revision));
  const seconds = ((performance.now() - start) / 1000).toFixed(1);
  const show = (times: number[]): string =>
    `p99 ${percentile(times, 0.99).toFixed(1)} ms, max ${percentile(times, 1).toFixed(1)} ms`;
  console.log(
    `lmdb, 16 writers: ${show(quiet)}; while ${revision - compacted} revisions are compacted in ${seconds} s: ${show(during)}`,
  );
}

async function latenciesUntil(end: Promise<unknown>): Promise<number[]> {
  const times: number[] = [];
  let goesOn = true;
  const ended = end.then(() => {
    goesOn = false;
  });
  await Promise.all(
    Array.from({ length: 16 }, async (_, writer) => {
      const key = `/registry/bench/compaction/${Math.random()}-${writer}`;
      let revision = await lmdb.create(key, VALUE);
      while (goesOn) {
        const began = performance.now();
        revision = await lmdb.update(key, VALUE, revision);
        times.push(performance.now() - began);
      }
    }),
  );
  await ended;
  return times;
}
