import { fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import type { LeanOptions } from './lean-client.ts';

/** What the watchers saw since the last question. */
export interface Seen {
  readonly events: number;
  /** How late the events were, in milliseconds. */
  readonly p50: number;
  readonly p99: number;
  /** What it cost them to receive and decrypt. */
  readonly cpuSeconds: number;
}

export interface WatchersOptions extends LeanOptions {
  readonly path: string;
  readonly count: number;
}

export interface Watchers {
  /** Answers as soon as so many events have come, or when the time is over. */
  seen(wanted: number, withinMs: number): Promise<Seen>;
  stop(): void;
}

/** Many watches, each on a connection of its own, in a process of their own: they use no core that the writers use. */
export async function startWatchers(options: WatchersOptions): Promise<Watchers> {
  const child = fork(join(import.meta.dirname, 'watchers-process.ts'));
  const answer = async <T>(question: object): Promise<T> => {
    const answered = once(child, 'message');
    child.send(question);
    const [message] = await answered;
    return message as T;
  };
  await answer(options);
  return {
    seen: (wanted, withinMs) => answer({ wanted, withinMs }),
    stop: () => void child.kill(),
  };
}

/** Milliseconds of a clock that all processes of a machine share. */
export function sharedNow(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}
