import type { Duplex, Readable } from 'node:stream';
import type Docker from 'dockerode';
import { programStream } from '../../../host/exec.ts';
import { RpcError } from '../../../util/grpc.ts';
import type { AttachRequest, ContainerRuntime, ExecRequest, ExecSyncResult } from '../runtime.ts';
import type { Engine } from './engine.ts';
import type { ClientStreams } from './streaming.ts';

type StreamCalls = Pick<ContainerRuntime, 'execSync' | 'exec' | 'attach' | 'portForward'>;

// As much as other runtimes keep of a command's output.
const OUTPUT_LIMIT = 16 * 1024 * 1024;

export function streamCalls(engine: Engine): StreamCalls {
  const { docker, streaming } = engine;
  return {
    execSync: (id, command, timeoutSeconds, signal) =>
      execSync(docker, { id, command, timeoutSeconds }, signal),
    exec: (request) =>
      streaming.prepare({
        kind: 'command',
        streams: namesOf(request),
        run: (streams) => runExec(docker, request, streams),
      }),
    attach: (request) =>
      streaming.prepare({
        kind: 'command',
        streams: namesOf(request),
        run: (streams) => runAttach(docker, request, streams),
      }),
    async portForward(sandboxId) {
      const { State } = await docker.getContainer(sandboxId).inspect();
      if (!State.Running) {
        throw new RpcError('PortForward', 'NOT_FOUND', `sandbox ${sandboxId} is not running`);
      }
      // In the sandbox's network, where also what listens on its loopback is reached.
      const enter = ['-t', String(State.Pid), '-n', process.execPath, '-e', DIAL];
      const connect = async (port: number) => programStream('nsenter', [...enter, String(port)]);
      return streaming.prepare({ kind: 'ports', connect });
    },
  };
}

async function execSync(
  docker: Docker,
  request: { id: string; command: readonly string[]; timeoutSeconds: number },
  signal?: AbortSignal,
): Promise<ExecSyncResult> {
  const { id, command, timeoutSeconds } = request;
  const streams = { AttachStdout: true, AttachStderr: true };
  const exec = await docker.getContainer(id).exec({ Cmd: [...command], ...streams });
  const stream = await exec.start({ hijack: true, stdin: false });
  const output = collect(docker, stream);
  if (await withTimeout(output.done, timeoutSeconds, signal)) {
    return { ...output.text(), exitCode: await exitCodeOf(exec) };
  }
  await killExec(exec);
  stream.destroy();
  signal?.throwIfAborted();
  const details = `command ${JSON.stringify(command.join(' '))} timed out`;
  throw new RpcError('ExecSync', 'DEADLINE_EXCEEDED', details);
}

async function runExec(
  docker: Docker,
  { containerId, cmd, stdin, stdout, stderr, tty }: ExecRequest,
  streams: ClientStreams,
): Promise<number> {
  const exec = await docker.getContainer(containerId).exec({
    Cmd: cmd,
    AttachStdin: stdin,
    AttachStdout: stdout,
    AttachStderr: stderr,
    Tty: tty,
  });
  const stream = await exec.start({ hijack: true, stdin, Tty: tty });
  streams.onResize(({ width, height }) => {
    exec.resize({ w: width, h: height }).catch(() => {}); // It may have ended.
  });
  await joined(docker, stream, streams, tty);
  return exitCodeOf(exec);
}

async function runAttach(
  docker: Docker,
  { containerId, stdin, stdout, stderr, tty }: AttachRequest,
  streams: ClientStreams,
): Promise<number> {
  const container = docker.getContainer(containerId);
  const stream = await container.attach({ stream: true, hijack: true, stdin, stdout, stderr });
  streams.onResize(({ width, height }) => {
    container.resize({ w: width, h: height }).catch(() => {});
  });
  await joined(docker, stream as Duplex, streams, tty);
  return 0;
}

/** A program that joins its standard input and output to a port of the loopback. */
const DIAL = `const s = require('net').connect(+process.argv[1], '127.0.0.1');
s.on('error', (e) => { console.error(String(e)); process.exit(1); });
process.stdin.pipe(s).pipe(process.stdout);`;

function namesOf({ stdin, stdout, stderr, tty }: Omit<AttachRequest, 'containerId'>): string[] {
  return [
    ...(stdin ? ['stdin'] : []),
    ...(stdout ? ['stdout'] : []),
    ...(stderr && !tty ? ['stderr'] : []),
    ...(tty ? ['resize'] : []),
  ];
}

/** Until the command has ended: what the client sends goes in, what comes out goes to it. */
async function joined(
  docker: Docker,
  stream: Duplex,
  { stdin, stdout, stderr }: ClientStreams,
  tty: boolean,
): Promise<void> {
  if (stdin) stdin.pipe(stream);
  if (tty) stream.on('data', (chunk: Buffer) => stdout?.write(chunk));
  else docker.modem.demuxStream(stream, sink(stdout), sink(stderr));
  const gone = new Promise<void>((resolve) => {
    for (const one of [stdout, stderr]) one?.once('close', resolve);
  });
  await Promise.race([ended(stream), gone]);
  stream.destroy();
}

const sink = (target: NodeJS.WritableStream | undefined): NodeJS.WritableStream =>
  target ?? ({ write: () => true } as unknown as NodeJS.WritableStream);

function ended(stream: Readable): Promise<void> {
  return new Promise((resolve) => {
    for (const event of ['end', 'close', 'error']) stream.once(event, () => resolve());
  });
}

function collect(docker: Docker, stream: Duplex) {
  const parts = { stdout: [] as Buffer[], stderr: [] as Buffer[] };
  let size = 0;
  const keep = (list: Buffer[]) =>
    ({
      write(chunk: Buffer) {
        if (size < OUTPUT_LIMIT) list.push(chunk.subarray(0, OUTPUT_LIMIT - size));
        size += chunk.length;
        return true;
      },
    }) as unknown as NodeJS.WritableStream;
  docker.modem.demuxStream(stream, keep(parts.stdout), keep(parts.stderr));
  return {
    done: ended(stream),
    text: () => ({ stdout: Buffer.concat(parts.stdout), stderr: Buffer.concat(parts.stderr) }),
  };
}

/** Answers whether the work was done in time. 0 seconds are no limit. */
async function withTimeout(
  work: Promise<void>,
  seconds: number,
  signal?: AbortSignal,
): Promise<boolean> {
  const stop = new AbortController();
  const late = new Promise<boolean>((resolve) => {
    const timer = seconds > 0 ? setTimeout(() => resolve(false), seconds * 1000) : undefined;
    const onAbort = (): void => resolve(false);
    signal?.addEventListener('abort', onAbort, { once: true });
    stop.signal.addEventListener('abort', () => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', onAbort);
    });
  });
  try {
    return await Promise.race([work.then(() => true), late]);
  } finally {
    stop.abort();
  }
}

/** Docker knows no way to end a command: the kernel does. */
async function killExec(exec: Docker.Exec): Promise<void> {
  const { Pid, Running } = (await exec.inspect()) as { Pid: number; Running: boolean };
  if (!Running || Pid <= 1) return;
  try {
    process.kill(Pid, 'SIGKILL');
  } catch {
    // It has just ended by itself.
  }
}

const EXIT_LOOKS = 50;
const EXIT_LOOK_MS = 20;

/** The stream may end a moment before Docker knows how the command ended. */
async function exitCodeOf(exec: Docker.Exec): Promise<number> {
  for (let looks = 0; looks < EXIT_LOOKS; looks++) {
    const { ExitCode, Running } = await exec.inspect();
    if (!Running && ExitCode !== null) return ExitCode;
    await new Promise((resolve) => setTimeout(resolve, EXIT_LOOK_MS));
  }
  throw new RpcError('Exec', 'UNKNOWN', 'the command goes on without its streams');
}
