import { readdirSync, readFileSync } from 'node:fs';

/** A process beyond doubt: numbers are used again, also after a reboot; a number with its start time is not. */
export interface ProcessIdentity {
  readonly pid: number;
  /** Boot and clock ticks since it at which the process began. */
  readonly started: string;
}

/** Who bears this number now. Undefined: nobody, or only a zombie that waits for its parent. */
export function identifyProcess(pid: number): ProcessIdentity | undefined {
  const stat = readProc(`/proc/${pid}/stat`);
  if (stat === undefined) return undefined;
  // The name in parentheses may hold anything, so fields are counted from the last ')'.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const [state] = fields;
  if (state === 'Z' || state === 'X') return undefined;
  return { pid, started: `${bootId()}-${fields[19] ?? ''}` };
}

/** True while exactly this process lives. */
export function isAlive(identity: ProcessIdentity): boolean {
  return identifyProcess(identity.pid)?.started === identity.started;
}

/** Its arguments, or an empty list when it is gone or a kernel thread. */
export function commandLineOf(pid: number): string[] {
  const text = readProc(`/proc/${pid}/cmdline`) ?? '';
  return text === '' ? [] : text.replace(/\0$/, '').split('\0');
}

/** Numbers of all processes. */
export function listProcesses(): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number);
}

/** Sends a signal. False: there is no such process any more. */
export function signalProcess(pid: number, signal: NodeJS.Signals): boolean {
  // 0 and negative numbers mean whole groups, our own among them; 1 is the machine.
  if (!(pid > 1)) throw new RangeError(`Not the number of a process: ${pid}`);
  try {
    return process.kill(pid, signal);
  } catch {
    return false;
  }
}

let boot: string | undefined;
function bootId(): string {
  boot ??= (readProc('/proc/sys/kernel/random/boot_id') ?? '').trim();
  return boot;
}

function readProc(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined; // The process ended, perhaps while being read (ESRCH).
  }
}
