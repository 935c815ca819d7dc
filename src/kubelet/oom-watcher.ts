import type { EventRecorder } from '../client/client.ts';
import { kernelMessages } from '../host/kernel-log.ts';
import type { Clock } from '../util/clock.ts';
import { errorMessage } from '../util/errors.ts';
import type { Logger } from '../util/log.ts';

export interface OomWatcherDeps {
  recorder: EventRecorder;
  clock: Clock;
  log: Logger;
  nodeName: string;
}

/** Tells of processes that the kernel killed because the machine, not a container's limit, had no memory left. */
export async function watchSystemOom(deps: OomWatcherDeps, signal: AbortSignal): Promise<void> {
  const { recorder, clock, log, nodeName: name } = deps;
  const node = { apiVersion: 'v1', kind: 'Node', metadata: { name, uid: name } };
  try {
    for await (const text of kernelMessages({ clock }, signal)) {
      const victim = systemOomVictim(text);
      if (!victim) continue;
      const message = `System OOM encountered, victim process: ${victim.process}, pid: ${victim.pid}`;
      recorder.event(node, 'Warning', 'SystemOOM', message);
    }
  } catch (err) {
    if (signal.aborted) return;
    log.warn({ err: errorMessage(err) }, 'Cannot hear of the kernel being out of memory');
  }
}

/** The process that a record of the kernel says was killed for the whole machine's sake. */
export function systemOomVictim(text: string): { process: string; pid: number } | undefined {
  // A kill within one control group names it (oom_memcg); that one's container tells for itself.
  if (!text.startsWith('oom-kill:') || text.includes(',oom_memcg=')) return undefined;
  const [, process = '', pid] = /,task=(.*),pid=(\d+),uid=\d+/.exec(text) ?? [];
  return pid === undefined ? undefined : { process, pid: Number(pid) };
}
