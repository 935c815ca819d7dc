import { connect } from 'node:net';
import type { Container, Pod, Probe } from '../../api/types.ts';
import { errorMessage } from '../../util/errors.ts';
import { createRpcClient, isRpcDeadline, isRpcUnimplemented, RpcError } from '../../util/grpc.ts';
import { expand } from '../environment.ts';
import { BodyError } from '../http-answer.ts';
import { httpGet, urlOf } from '../http-get.ts';
import { portNumber } from '../ports.ts';
import type { ContainerRuntime } from '../runtime/runtime.ts';

/** `error`: the probe itself did not work; that says nothing about the container. */
export interface ProbeOutcome {
  result: 'success' | 'warning' | 'failure' | 'error';
  message: string;
}

export interface ProbeTarget {
  pod: Pod;
  container: Container;
  containerId: string;
  podIp: string;
}

const USER_AGENT = 'kube-probe/1.36';
const MAX_OUTPUT = 10 * 1024;
// As long as timers can wait: 24 days.
const MAX_TIMEOUT_SECONDS = 2_147_483;

/** Runs one probe once. */
export async function runProbe(
  probe: Probe,
  target: ProbeTarget,
  runtime: ContainerRuntime,
  signal: AbortSignal,
): Promise<ProbeOutcome> {
  const timeoutMs = Math.min(probe.timeoutSeconds ?? 1, MAX_TIMEOUT_SECONDS) * 1000;
  try {
    if (probe.exec)
      return await execProbe(probe.exec.command ?? [], target, { runtime, timeoutMs }, signal);
    if (probe.httpGet) return await httpProbe(probe.httpGet, target, timeoutMs, signal);
    if (probe.tcpSocket) return await tcpProbe(probe.tcpSocket, target, timeoutMs);
    if (probe.grpc) return await grpcProbe(probe.grpc, target, timeoutMs, signal);
    return { result: 'error', message: 'missing probe handler' };
  } catch (err) {
    signal.throwIfAborted();
    return { result: 'error', message: errorMessage(err) };
  }
}

async function execProbe(
  command: readonly string[],
  { container, containerId }: ProbeTarget,
  { runtime, timeoutMs }: { runtime: ContainerRuntime; timeoutMs: number },
  signal: AbortSignal,
): Promise<ProbeOutcome> {
  const literal = new Map((container.env ?? []).map((e) => [e.name, e.value]));
  const words = command.map((word) => expand(word, (name) => literal.get(name)));
  try {
    const answer = await runtime.execSync(containerId, words, timeoutMs / 1000, signal);
    const output = Buffer.concat([answer.stdout, answer.stderr]).subarray(0, MAX_OUTPUT);
    const message = output.toString('utf8');
    return { result: answer.exitCode === 0 ? 'success' : 'failure', message };
  } catch (err) {
    if (!isRpcDeadline(err)) throw err;
    const message = `command timed out: "${words.join(' ')}" timed out after ${timeoutMs / 1000}s`;
    return { result: 'failure', message };
  }
}

async function httpProbe(
  http: NonNullable<Probe['httpGet']>,
  { container, podIp }: ProbeTarget,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<ProbeOutcome> {
  const options = {
    scheme: http.scheme === 'HTTPS' ? ('https' as const) : ('http' as const),
    host: http.host || podIp,
    port: portNumber(http.port, container),
    path: http.path ?? '/',
    headers: http.httpHeaders ?? [],
    userAgent: USER_AGENT,
    timeoutMs,
  };
  try {
    const { status, body } = await httpGet(options, signal);
    if (status >= 200 && status < 300) return { result: 'success', message: body };
    if (status >= 300 && status < 400) {
      return { result: 'warning', message: `Probe terminated redirects, Response body: ${body}` };
    }
    return { result: 'failure', message: `HTTP probe failed with statuscode: ${status}` };
  } catch (err) {
    // As upstream: an answer that breaks off says nothing, whatever its status was.
    if (signal.aborted || err instanceof BodyError) throw err;
    const text = errorMessage(err);
    const prefix = `Get ${JSON.stringify(urlOf(options))}: `;
    const message = text.startsWith('Get "') ? text : dialMessage(prefix, err, options);
    return { result: 'failure', message };
  }
}

/** A refused or lost connection in the words that people know from Go programs. */
function dialMessage(
  prefix: string,
  err: unknown,
  { host, port }: { host: string; port: number },
): string {
  const code = (err as { code?: string }).code;
  const reasons: Record<string, string> = {
    ECONNREFUSED: 'connect: connection refused',
    EHOSTUNREACH: 'connect: no route to host',
    ENETUNREACH: 'connect: network is unreachable',
    ETIMEDOUT: 'i/o timeout',
  };
  const reason = reasons[code ?? ''];
  if (reason) return `${prefix}dial tcp ${host}:${port}: ${reason}`;
  if (code === 'ECONNRESET') return `${prefix}read: connection reset by peer`;
  return `${prefix}${errorMessage(err)}`;
}

function tcpProbe(
  tcp: NonNullable<Probe['tcpSocket']>,
  { container, podIp }: ProbeTarget,
  timeoutMs: number,
): Promise<ProbeOutcome> {
  const host = tcp.host || podIp;
  const port = portNumber(tcp.port, container);
  return new Promise((resolve) => {
    const socket = connect({ host, port, timeout: timeoutMs });
    const finish = (outcome: ProbeOutcome): void => {
      socket.destroy();
      resolve(outcome);
    };
    socket.on('connect', () => finish({ result: 'success', message: '' }));
    socket.on('timeout', () =>
      finish({ result: 'failure', message: `dial tcp ${host}:${port}: i/o timeout` }),
    );
    socket.on('error', (err) =>
      finish({ result: 'failure', message: dialMessage('', err, { host, port }) }),
    );
  });
}

async function grpcProbe(
  { port, service = '' }: NonNullable<Probe['grpc']>,
  { podIp }: ProbeTarget,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<ProbeOutcome> {
  const host = podIp.includes(':') ? `[${podIp}]` : podIp;
  const address = `${host}:${port}`;
  const rpc = createRpcClient({
    proto: 'health.proto',
    service: 'grpc.health.v1.Health',
    address,
    userAgent: USER_AGENT,
  });
  try {
    const answer = await rpc.call<{ status: string }>('Check', { service }, { timeoutMs }, signal);
    if (answer.status === 'SERVING') return { result: 'success', message: 'service healthy' };
    return { result: 'failure', message: `service unhealthy (responded with "${answer.status}")` };
  } catch (err) {
    signal.throwIfAborted();
    return { result: 'failure', message: grpcMessage(err, address, timeoutMs) };
  } finally {
    rpc.close();
  }
}

function grpcMessage(err: unknown, address: string, timeoutMs: number): string {
  if (isRpcUnimplemented(err)) {
    return 'error: this server does not implement the grpc health protocol (grpc.health.v1.Health)';
  }
  if (isRpcDeadline(err)) {
    return `timeout: health rpc did not complete within ${timeoutMs / 1000}s`;
  }
  const details = err instanceof RpcError ? err.details : errorMessage(err);
  return `error: health rpc probe to ${address} failed: ${details}`;
}
