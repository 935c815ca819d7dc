import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { heapOptions } from '../../src/cluster/components.ts';
import { type ApiProcess, startApiProcess } from '../../test/support/api-process.ts';
import { LeanClient } from './lean-client.ts';

/** How the server's process was since the last question. */
export interface Usage {
  /** How long its event loop kept something waiting: at most, and 99 % of the time. */
  readonly loopMaxMs: number;
  readonly loopP99Ms: number;
  /** The same at most, if its main thread had had a core to itself: what it worked at a stretch. */
  readonly loopWorkMaxMs: number;
  readonly cpuSeconds: number;
  /** The same of a process that does nothing: how late the machine itself lets anybody run. */
  readonly idleMaxMs: number;
  /** Share of the time in which the event loop worked. */
  readonly busy: number;
  readonly rssMb: number;
  readonly peakRssMb: number;
  /** JavaScript objects and buffers. */
  readonly heapMb: number;
  readonly peakHeapMb: number;
}

export interface BenchServer extends ApiProcess {
  usage(): Promise<Usage>;
  /** The same, once what is not needed any more has been collected: then `heapMb` is what is kept. */
  usageOfKept(): Promise<Usage>;
  /** Resolves when it has had nothing to do for a moment: what it does behind an answer is done. */
  quiet(): Promise<void>;
  /** A connection of its own. */
  connect(): Promise<LeanClient>;
}

/**
 * A real `k8ts apiserver` on the embedded store, with the heap that `k8ts up` gives it, that says how busy it is. Further
 * Node options from BENCH_NODE_OPTIONS.
 */
export async function startBenchServer(): Promise<BenchServer> {
  const extra = (process.env.BENCH_NODE_OPTIONS ?? '').split(' ').filter((word) => word !== '');
  const server = await startApiProcess({
    nodeOptions: [heapOptions('apiserver'), '--import', MONITOR, ...extra],
  });
  const idle = startIdleProcess();
  await ask(idle, 'usage');
  const usage = async (question: string): Promise<Usage> => {
    const [own, nobody] = await Promise.all([ask(server.child, question), ask(idle, 'usage')]);
    return { ...own, idleMaxMs: nobody.loopMaxMs };
  };
  const isQuiet = async () => {
    await ask(server.child, 'usage');
    await sleep(QUIET_MS);
    return (await ask(server.child, 'usage')).busy < QUIET_SHARE;
  };
  return {
    ...server,
    usage: () => usage('usage'),
    usageOfKept: () => usage('usage of what is kept'),
    async quiet() {
      while (!(await isQuiet()));
    },
    connect: () => LeanClient.connect({ ...server.tls, port: server.port }),
    async stop() {
      idle.kill();
      await server.stop();
    },
  };
}

const QUIET_MS = 500;
const QUIET_SHARE = 0.02;
const MONITOR = join(import.meta.dirname, 'monitor.ts');

function startIdleProcess(): ChildProcess {
  const args = [
    '--import',
    MONITOR,
    '--eval',
    'setInterval(() => {}, 1e9); process.on("disconnect", () => process.exit())',
  ];
  return spawn(process.execPath, [...args], { stdio: ['ignore', 'ignore', 'ignore', 'ipc'] });
}

async function ask(child: ChildProcess, question: string): Promise<Omit<Usage, 'idleMaxMs'>> {
  const answer = once(child, 'message');
  child.send(question);
  const [usage] = (await answer) as [Omit<Usage, 'idleMaxMs'>];
  return usage;
}

/** One line about the server, behind each figure. */
export function describeUsage(usage: Usage): string {
  const { loopMaxMs, loopP99Ms, loopWorkMaxMs, idleMaxMs, busy, rssMb } = usage;
  const delay = `event loop delay: p99 ${loopP99Ms.toFixed(0)} ms, max ${loopMaxMs.toFixed(0)} ms, of it own work ${Math.max(0, loopWorkMaxMs).toFixed(0)} ms`;
  const idle = `an idle process: max ${idleMaxMs.toFixed(0)} ms`;
  return `${delay} (${idle}); busy ${(100 * busy).toFixed(0)} %; ${rssMb.toFixed(0)} MB`;
}
