// `proxy-sync-worker.ts MODE SERVICES` in a network namespace of its own: prints its figures as JSON. `proxy-sync-worker.ts replay
// FILE` makes the calls of the kernel's tools that are in the file.
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ChangeTracker } from '../../src/proxy/change-tracker.ts';
import { createNetworkNamespace } from '../../test/support/network-namespace.ts';
import { benchService, benchSlice, ENDPOINTS } from './many-services.ts';
import { type Call, type Recorded, recordedBackend, replay } from './recorded-backend.ts';

/** Milliseconds. `floor…`: of the kernel's tool alone, fed with the same. */
export interface SyncFigures {
  first: number;
  floorFirst: number;
  change: number;
  floorChange: number;
  /** Of this process for one change, without the tool. */
  changeCpu: number;
  /** Of the question whether the rules are still there. */
  check: number;
}

const CHANGES = 20;
const { signal } = new AbortController();

async function timed(act: () => Promise<unknown>): Promise<number> {
  const started = performance.now();
  await act();
  return performance.now() - started;
}

function median(values: number[]): number {
  return values.sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;
}

/** The first sync's calls again, in a kernel that knows nothing of the services, not even that they were there once. */
async function replayElsewhere(calls: readonly Call[]): Promise<number> {
  const directory = await mkdtemp(join(tmpdir(), 'k8ts-replay-'));
  const file = join(directory, 'calls.json');
  const network = await createNetworkNamespace();
  try {
    await writeFile(file, JSON.stringify(calls));
    const self = fileURLToPath(import.meta.url);
    return Number((await network.run(process.execPath, [self, 'replay', file])).stdout);
  } finally {
    await network.remove();
    await rm(directory, { recursive: true });
  }
}

async function measure({ backend, take }: Recorded, services: number): Promise<SyncFigures> {
  const node = { name: 'node-a', zone: undefined };
  const tracker = new ChangeTracker(4, node, { allowExternalIPs: false });
  const sync = async (full: boolean) => await backend.sync(tracker.state(), { full }, signal);
  for (let i = 0; i < services; i++) {
    tracker.setService(benchService(i));
    tracker.setSlice(benchSlice(i));
  }
  const first = await timed(() => sync(true));
  const firstCalls = take();
  const changes: number[] = [];
  const changeCalls: Call[][] = [];
  const cpu: number[] = [];
  for (let i = 0; i < CHANGES; i++) {
    tracker.setSlice(benchSlice(7, i % 2 === 0 ? ENDPOINTS - 1 : ENDPOINTS));
    const before = process.cpuUsage();
    changes.push(await timed(() => sync(false)));
    const { user, system } = process.cpuUsage(before);
    cpu.push((user + system) / 1000);
    changeCalls.push(take());
  }
  const check = await timed(() => backend.intact(signal));
  // The last two changes lead away from the present state and back to it.
  const floors: number[] = [];
  for (const calls of changeCalls.slice(-10)) floors.push(await replay(calls));
  const floorFirst = await replayElsewhere(firstCalls);
  const change = median(changes);
  const floorChange = median(floors);
  return { first, floorFirst, change, floorChange, changeCpu: median(cpu), check };
}

const [mode = '', what = ''] = process.argv.slice(2);
const figures =
  mode === 'replay'
    ? await replay(JSON.parse(await readFile(what, 'utf8')) as Call[])
    : await measure(await recordedBackend(mode), Number(what));
console.log(JSON.stringify(figures));
process.exit(0); // Relays listen on.
