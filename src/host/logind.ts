import { mkdir, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { programStream, run } from './exec.ts';

/** What of systemd-logind is needed to end in order when the machine is shut down. https://systemd.io/INHIBITOR_LOCKS/ */
export interface Logind {
  /** Milliseconds for which a shutdown waits for whoever asks for it. Throws where no logind answers. */
  longestDelay(): Promise<number>;
  /** Lets a shutdown wait longer from now on. */
  setLongestDelay(ms: number): Promise<void>;
  /** From now on a shutdown waits, until what is answered is called. */
  delayShutdown(who: string, why: string): () => void;
  /** True when a shutdown begins, false when one is called off; ends when the bus does. */
  shutdowns(signal: AbortSignal): AsyncIterable<boolean>;
}

const NAME = 'org.freedesktop.login1';
const PATH = '/org/freedesktop/login1';
const MANAGER = `${NAME}.Manager`;
const DROP_IN = '/etc/systemd/logind.conf.d/99-kubelet.conf';

export const systemLogind: Logind = {
  async longestDelay() {
    const args = ['--system', 'get-property', NAME, PATH, MANAGER, 'InhibitDelayMaxUSec'];
    const { stdout } = await run('busctl', args, { timeoutMs: 10_000 });
    const microseconds = Number(stdout.trim().split(' ')[1]);
    if (!Number.isFinite(microseconds)) throw new Error(`busctl answered ${stdout.trim()}`);
    return microseconds / 1000;
  },
  async setLongestDelay(ms) {
    await mkdir(dirname(DROP_IN), { recursive: true });
    await writeFile(DROP_IN, `[Login]\nInhibitDelayMaxSec=${Math.ceil(ms / 1000)}\n`);
    await run('systemctl', ['reload-or-restart', 'systemd-logind']);
  },
  delayShutdown(who, why) {
    const options = ['--what=shutdown', '--mode=delay', `--who=${who}`, `--why=${why}`];
    // The lock lasts as long as the program, and that as long as its input.
    const held = programStream('systemd-inhibit', [...options, 'cat']);
    held.on('error', () => {});
    held.resume();
    return () => void held.destroy();
  },
  async *shutdowns(signal) {
    const match = `type='signal',interface='${MANAGER}',member='PrepareForShutdown'`;
    const args = ['--system', '--json=short', 'monitor', `--match=${match}`];
    // It says nothing for as long as nothing happens: that nobody listens would not end it.
    const enough = new AbortController();
    const monitor = programStream('busctl', args, AbortSignal.any([signal, enough.signal]));
    let rest = '';
    try {
      for await (const chunk of monitor) {
        const lines = (rest + String(chunk)).split('\n');
        rest = lines.pop() ?? '';
        for (const line of lines) {
          const begins = shutdownIn(line);
          if (begins !== undefined) yield begins;
        }
      }
    } catch (err) {
      if (!signal.aborted) throw err;
    } finally {
      enough.abort();
    }
  },
};

/** What a line of `busctl monitor --json=short` says of a shutdown; undefined for other lines. */
export function shutdownIn(line: string): boolean | undefined {
  if (!line.startsWith('{')) return undefined;
  const { type, member, payload } = JSON.parse(line) as {
    type?: string;
    member?: string;
    payload?: { data?: unknown[] };
  };
  if (type !== 'signal' || member !== 'PrepareForShutdown') return undefined;
  return payload?.data?.[0] === true;
}
