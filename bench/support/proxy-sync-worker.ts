// `proxy-sync-worker.ts MODE SERVICES` in a network namespace of its own: prints its figures as JSON.
import { ChangeTracker } from '../../src/proxy/change-tracker.ts';
import { benchService, benchSlice, ENDPOINTS } from './many-services.ts';
import { type Recorded, type Replay, recordedBackend } from './recorded-backend.ts';

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

async function replay(calls: readonly Replay[]): Promise<number> {
  return await timed(async () => {
    for (const call of calls) await call();
  });
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
  const changeCalls: Replay[][] = [];
  let cpu = 0;
  for (let i = 0; i < CHANGES; i++) {
    tracker.setSlice(benchSlice(7, i % 2 === 0 ? ENDPOINTS - 1 : ENDPOINTS));
    const before = process.cpuUsage();
    changes.push(await timed(() => sync(false)));
    const { user, system } = process.cpuUsage(before);
    cpu += (user + system) / 1000;
    changeCalls.push(take());
  }
  const check = await timed(() => backend.intact(signal));
  // The last two changes lead away from the present state and back to it.
  const floors: number[] = [];
  for (const calls of changeCalls.slice(-10)) floors.push(await replay(calls));
  await backend.cleanup(signal);
  const floorFirst = await replay(firstCalls);
  const change = median(changes);
  return {
    first,
    floorFirst,
    change,
    floorChange: median(floors),
    changeCpu: cpu / CHANGES,
    check,
  };
}

const [mode = '', services = ''] = process.argv.slice(2);
console.log(JSON.stringify(await measure(await recordedBackend(mode), Number(services))));
process.exit(0); // Relays listen on.
