import { once } from 'node:events';
import { join } from 'node:path';
import { type ApiProcess, startApiProcess } from '../../test/support/api-process.ts';
import { LeanClient } from './lean-client.ts';

/** How the server's process was since the last question. */
export interface Usage {
  /** How long its event loop kept something waiting: at most, and 99 % of the time. */
  readonly loopMaxMs: number;
  readonly loopP99Ms: number;
  readonly cpuSeconds: number;
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
  /** A connection of its own. */
  connect(): Promise<LeanClient>;
}

/** A real `k8ts apiserver` on the embedded store that says how busy it is. Further Node options from BENCH_NODE_OPTIONS. */
export async function startBenchServer(): Promise<BenchServer> {
  const extra = (process.env.BENCH_NODE_OPTIONS ?? '').split(' ').filter((word) => word !== '');
  const monitor = join(import.meta.dirname, 'monitor.ts');
  const server = await startApiProcess({ nodeOptions: ['--import', monitor, ...extra] });
  return {
    ...server,
    async usage() {
      const answer = once(server.child, 'message');
      server.child.send('usage');
      const [usage] = (await answer) as [Usage];
      return usage;
    },
    connect: () => LeanClient.connect({ ...server.tls, port: server.port }),
  };
}

/** One line about the server, behind each figure. */
export function describeUsage({ loopMaxMs, loopP99Ms, busy, rssMb }: Usage): string {
  return `event loop delay: max ${loopMaxMs.toFixed(0)} ms, p99 ${loopP99Ms.toFixed(0)} ms; busy ${(100 * busy).toFixed(0)} %; ${rssMb.toFixed(0)} MB`;
}
