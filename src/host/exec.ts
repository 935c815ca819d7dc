import { spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { type Duplex, Readable } from 'node:stream';
import { execa } from 'execa';
import { errnoOf } from '../util/errors.ts';

export interface RunOptions {
  /** Standard input, as a whole or in pieces that are asked for as they are read; without it the program reads an empty one. */
  input?: string | Uint8Array | Iterable<string> | undefined;
  /** Variables on top of this process's own. */
  env?: Readonly<Record<string, string>> | undefined;
  cwd?: string | undefined;
  /** Milliseconds until the program is killed; none by default. */
  timeoutMs?: number | undefined;
  /** Exit codes that are an answer, not a failure. Only 0 by default. */
  acceptExitCodes?: readonly number[] | undefined;
}

export interface RunResult {
  readonly stdout: string;
  readonly stderr: string;
  readonly exitCode: number;
}

/** A program that could not be started, failed, was killed or took too long. The message holds its last words. */
export class CommandError extends Error {
  override readonly name = 'CommandError';
  readonly program: string;
  /** Absent when the program never ran or died of a signal. */
  readonly exitCode: number | undefined;
  readonly stderr: string;
  /** The program is not installed. */
  readonly missing: boolean;

  constructor(
    message: string,
    failure: {
      program: string;
      exitCode?: number | undefined;
      stderr: string;
      missing: boolean;
      cause: unknown;
    },
  ) {
    super(message, { cause: failure.cause });
    this.program = failure.program;
    this.exitCode = failure.exitCode;
    this.stderr = failure.stderr;
    this.missing = failure.missing;
  }
}

export const isMissingProgram = (err: unknown): boolean =>
  err instanceof CommandError && err.missing;

// Daemons are started with a short PATH by some init systems; the tools of the network live in sbin.
const SYSTEM_PATH = ['/usr/local/sbin', '/usr/sbin', '/sbin', '/usr/local/bin', '/usr/bin', '/bin'];

/** This process's environment with the directories of system programs on its PATH. */
export function systemEnv(extra: Readonly<Record<string, string>> = {}): Record<string, string> {
  const path = new Set([...(process.env.PATH ?? '').split(':'), ...SYSTEM_PATH]);
  path.delete('');
  const env: Record<string, string> = {};
  for (const [name, value] of Object.entries(process.env)) {
    if (value !== undefined) env[name] = value;
  }
  return { ...env, PATH: [...path].join(':'), ...extra };
}

/**
 * Runs a program to its end and answers what it printed. Rejects with `CommandError` for an exit code
 * outside `acceptExitCodes`; when `signal` aborts the program gets SIGTERM and the promise rejects with the
 * signal's reason. No shell is involved.
 */
export async function run(
  program: string,
  args: readonly string[],
  options: RunOptions = {},
  signal?: AbortSignal,
): Promise<RunResult> {
  signal?.throwIfAborted();
  const result = await execa(program, [...args], {
    reject: false,
    input: inputOf(options.input),
    env: systemEnv(options.env),
    extendEnv: false,
    stripFinalNewline: false,
    maxBuffer: 512 * 1024 * 1024,
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    ...(options.timeoutMs === undefined ? {} : { timeout: options.timeoutMs }),
    ...(signal === undefined ? {} : { cancelSignal: signal }),
  });
  signal?.throwIfAborted();
  const accepted = options.acceptExitCodes ?? [0];
  if (result.exitCode !== undefined && accepted.includes(result.exitCode)) {
    return { stdout: result.stdout, stderr: result.stderr, exitCode: result.exitCode };
  }
  throw commandError(program, args, result);
}

function inputOf(input: RunOptions['input'] = ''): string | Uint8Array | Readable {
  return typeof input === 'string' || input instanceof Uint8Array ? input : Readable.from(input);
}

interface Failure {
  exitCode?: number | undefined;
  signal?: string | undefined;
  timedOut?: boolean | undefined;
  stderr?: string | undefined;
  cause?: unknown;
}

function commandError(program: string, args: readonly string[], failure: Failure): CommandError {
  const stderr = failure.stderr ?? '';
  const missing = errnoOf(failure.cause) === 'ENOENT';
  return new CommandError(`${[program, ...args].join(' ')}: ${explain(failure, missing)}`, {
    program,
    exitCode: failure.exitCode,
    stderr,
    missing,
    cause: failure.cause,
  });
}

function explain(failure: Failure, missing: boolean): string {
  if (missing) return 'program not found';
  const lastWords = (failure.stderr ?? '').trim().slice(-2000);
  const said = lastWords === '' ? '' : `: ${lastWords}`;
  if (failure.timedOut) return `timed out${said}`;
  if (failure.signal !== undefined) return `killed by ${failure.signal}${said}`;
  if (failure.exitCode === undefined) return `could not be run: ${String(failure.cause)}`;
  return `exit code ${failure.exitCode}${said}`;
}

/**
 * Runs a program whose standard input and output are the two sides of the stream. Destroying it closes both, which ends
 * programs that read or write; the signal ends any.
 */
export function programStream(
  program: string,
  args: readonly string[],
  signal?: AbortSignal,
): Duplex {
  const child = execa(program, [...args], {
    ...{ env: systemEnv(), extendEnv: false, reject: false },
    ...(signal ? { cancelSignal: signal } : {}),
  });
  // How it ended shows on the stream.
  child.catch(() => {});
  return child.duplex();
}

export interface StartOptions {
  env?: Readonly<Record<string, string>> | undefined;
  cwd?: string | undefined;
  /** File that gets standard output and standard error appended. Without it both are this process's own. */
  logFile?: string | undefined;
  /** A session of its own, so that it outlives this process and its terminal. */
  detached?: boolean | undefined;
}

export interface ProcessEnd {
  readonly exitCode: number | undefined;
  readonly signal: string | undefined;
}

/** A program that goes on running. */
export interface StartedProcess {
  readonly pid: number;
  /** Resolves when it has ended, with its exit code or the signal that killed it; never rejects. */
  readonly ended: Promise<ProcessEnd>;
  kill(signal: NodeJS.Signals): void;
}

/** Starts a program that is meant to go on. Throws `CommandError` when it cannot be started. */
export function start(
  program: string,
  args: readonly string[],
  options: StartOptions = {},
): StartedProcess {
  // The file itself, not a pipe through this process: the program must be able to outlive us.
  const log = options.logFile === undefined ? undefined : openSync(options.logFile, 'a', 0o640);
  const child = spawn(program, args, {
    stdio: ['ignore', log ?? 'inherit', log ?? 'inherit'],
    env: systemEnv(options.env),
    detached: options.detached ?? false,
    cwd: options.cwd,
  });
  if (log !== undefined) closeSync(log);
  const { pid } = child;
  if (pid === undefined) {
    child.on('error', () => {}); // Reported here; the event would end the process.
    throw commandError(program, args, { cause: new Error(`cannot start ${program}`) });
  }
  const ended = new Promise<ProcessEnd>((resolve) => {
    child.once('exit', (code, signal) =>
      resolve({ exitCode: code ?? undefined, signal: signal ?? undefined }),
    );
  });
  return { pid, ended, kill: (signal) => void child.kill(signal) };
}
