import type { ServerResponse } from 'node:http';
import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { type StreamRequest, serveStream } from '../../http/streaming.ts';
import type { UpgradeRequest } from '../../http/upgrade.ts';
import { allContainersOf } from '../names.ts';
import type { PodState } from '../pod-state.ts';
import { newestContainer } from '../runtime-pod.ts';
import { HttpError } from './http-error.ts';
import { findPod, type Target } from './target.ts';

const RUN_TIMEOUT_S = 120;

/** A connection over which nothing is said for so long is given up. */
export function endWhenIdle(socket: Duplex, idleMs: number): void {
  if (socket instanceof Socket) socket.setTimeout(idleMs, () => socket.destroy());
}

/**
 * exec, attach and port-forward: the runtime prepares a stream, to which the connection is passed through. All runtimes
 * speak SPDY, not all of them WebSockets: a client that does is translated for.
 */
export async function streamToRuntime(
  upgrade: UpgradeRequest,
  target: Target,
  signal: AbortSignal,
): Promise<void> {
  const url = new URL(upgrade.req.url ?? '/', 'https://kubelet');
  const [verb = '', ...parts] = url.pathname.split('/').filter((p) => p !== '');
  const [answer, request] = await prepare(
    verb,
    { parts: parts.map(decodeURIComponent), url },
    target,
    signal,
  );
  await serveStream(upgrade, { url: new URL(answer) }, request, signal);
}

async function prepare(
  verb: string,
  { parts, url }: { parts: string[]; url: URL },
  target: Target,
  signal: AbortSignal,
): Promise<[url: string, request: StreamRequest]> {
  const { runtime, pleg } = target;
  const flag = (name: string): boolean => ['1', 'true'].includes(url.searchParams.get(name) ?? '');
  if (verb === 'portForward') {
    const state = podOf(target, parts);
    const sandbox = pleg.get(state.uid).sandboxes.find((s) => s.ready);
    if (!sandbox) throw new HttpError(404, `sandbox of pod "${parts[1]}" not found`);
    const ports = url.searchParams
      .getAll('port')
      .flatMap((p) => p.split(','))
      .map(Number);
    return [await runtime.portForward(sandbox.id, ports, signal), { kind: 'portforward' }];
  }
  if (verb !== 'exec' && verb !== 'attach') throw new HttpError(404, '404 page not found');
  const { containerId, tty } = containerOf(target, parts);
  const streams = {
    containerId,
    stdin: flag('input') || flag('stdin'),
    stdout: flag('output') || flag('stdout'),
    stderr: flag('error') || flag('stderr'),
    // An attach has the terminal that the container was made with.
    tty: verb === 'attach' ? tty : flag('tty'),
  };
  if (streams.tty) streams.stderr = false;
  if (!streams.stdin && !streams.stdout && !streams.stderr) {
    throw new HttpError(400, 'you must specify at least 1 of stdin, stdout, stderr');
  }
  const cmd = url.searchParams.getAll('command');
  const at =
    verb === 'attach'
      ? await runtime.attach(streams, signal)
      : await runtime.exec({ ...streams, cmd }, signal);
  return [at, { kind: verb, flags: streams }];
}

function podOf(target: Target, [namespace = '', name = '', uid]: readonly string[]): PodState {
  const key = { namespace, name, ...(uid === undefined ? {} : { uid }) };
  const state = findPod(target, key);
  if (!state) throw new HttpError(404, `pod "${name}" does not exist`);
  return state;
}

/** NAMESPACE/POD[/UID]/CONTAINER */
export function containerOf(
  target: Target,
  parts: readonly string[],
): { containerId: string; tty: boolean } {
  const container = parts.at(-1) ?? '';
  const state = podOf(target, parts.slice(0, -1));
  const spec = allContainersOf(state.pod).find((c) => c.name === container);
  const found = newestContainer(target.pleg.get(state.uid), container);
  if (!spec || !found) throw new HttpError(404, `container not found ("${container}")`);
  return { containerId: found.id, tty: spec.tty === true };
}

/** POST /run/NAMESPACE/POD[/UID]/CONTAINER?cmd=…: runs a command and answers what it printed. */
export async function runCommand(
  {
    res,
    url,
    parts,
    signal,
  }: { res: ServerResponse; url: URL; parts: string[]; signal: AbortSignal },
  target: Target,
): Promise<void> {
  const { containerId } = containerOf(target, parts);
  const command = (url.searchParams.get('cmd') ?? '').split(' ');
  const answer = await target.runtime.execSync(containerId, command, RUN_TIMEOUT_S, signal);
  res.writeHead(200, { 'Content-Type': 'text/plain' });
  res.end(Buffer.concat([answer.stdout, answer.stderr]));
}
