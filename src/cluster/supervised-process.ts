import { mkdirSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { type StartedProcess, start } from '../host/exec.ts';
import {
  identifyProcess,
  isAlive,
  type ProcessIdentity,
  signalProcess,
} from '../host/processes.ts';
import type { Clock } from '../util/clock.ts';
import { fingerprint, type ProcessSpec } from './components.ts';
import { readIfExists, writeWhole } from './files.ts';

/** A running process, whoever started it. */
export interface RunningProcess {
  readonly identity: ProcessIdentity;
  readonly adopted: boolean;
  /** Resolves when it has ended, with what is known of the reason. */
  readonly ended: Promise<string>;
}

/** What is remembered of a process on disk, so that a new supervisor finds it again. */
interface ProcessRecord extends ProcessIdentity {
  readonly fingerprint: string;
}

// Only the parent is told of a child's end, so an adopted process is looked at. Cheap: one small read of /proc.
const ADOPTED_LOOK_MS = 500;

/**
 * Starts a process in a session of its own, so that it outlives its supervisor, and remembers it. It writes to its log
 * file, or to the journal that the supervisor itself writes to.
 */
export function launch(
  spec: ProcessSpec,
  { runDir, journal }: { runDir: string; journal: boolean },
): RunningProcess {
  mkdirSync(dirname(spec.logFile), { recursive: true });
  const logFile = journal ? undefined : spec.logFile;
  const child = start(spec.program, spec.args, { env: spec.env, logFile, detached: true });
  const identity = identifyProcess(child.pid) ?? { pid: child.pid, started: '' };
  writeWhole(
    recordFile(runDir, spec.name),
    JSON.stringify({ ...identity, fingerprint: fingerprint(spec) }),
  );
  return { identity, adopted: false, ended: child.ended.then(describeEnd) };
}

/** What an earlier supervisor left behind under this name, if it lives, and which command line it was given. */
export function findLeftBehind(
  name: string,
  runDir: string,
): { identity: ProcessIdentity; fingerprint: string } | undefined {
  const text = readIfExists(recordFile(runDir, name));
  if (text === undefined) return undefined;
  const { pid, started, fingerprint: print } = JSON.parse(text) as ProcessRecord;
  const identity = { pid, started };
  return isAlive(identity) ? { identity, fingerprint: print } : undefined;
}

/** Takes charge of a process of somebody else's. */
export function adopt(identity: ProcessIdentity, clock: Clock): RunningProcess {
  return { identity, adopted: true, ended: untilGone(identity, clock) };
}

/** Asks a process to end, and makes it end after `graceMs`. Resolves when it is gone. */
export async function stop(process: RunningProcess, graceMs: number, clock: Clock): Promise<void> {
  if (!isAlive(process.identity)) return;
  signalProcess(process.identity.pid, 'SIGTERM');
  const cancel = clock.after(graceMs, () => signalProcess(process.identity.pid, 'SIGKILL'));
  await process.ended;
  cancel();
}

export function forget(name: string, runDir: string): void {
  rmSync(recordFile(runDir, name), { force: true });
}

/** Resolves when a process of somebody else's has ended. */
export async function untilGone(identity: ProcessIdentity, clock: Clock): Promise<string> {
  while (isAlive(identity)) await clock.sleep(ADOPTED_LOOK_MS);
  return 'ended';
}

function recordFile(runDir: string, name: string): string {
  return join(runDir, `${name}.pid`);
}

function describeEnd(end: Awaited<StartedProcess['ended']>): string {
  return end.signal ? `killed by ${end.signal}` : `exit code ${end.exitCode ?? 'unknown'}`;
}
