import type { Container, Pod } from '../api/types.ts';
import type { Clock } from '../util/clock.ts';
import { errorMessage } from '../util/errors.ts';
import { httpGet } from './http-get.ts';
import { portNumber } from './ports.ts';
import type { ContainerRuntime } from './runtime/runtime.ts';

type Handler = NonNullable<NonNullable<Container['lifecycle']>['preStop']>;

const USER_AGENT = 'kube-lifecycle/1.36';
const HTTP_TIMEOUT_MS = 30_000;

/** Runs a postStart or preStop handler to its end; throws when it fails. */
export async function runHook(
  handler: Handler,
  given: { pod: Pod; container: Container; containerId: string; podIp: string },
  deps: { runtime: ContainerRuntime; clock: Clock },
  signal: AbortSignal,
): Promise<void> {
  const { exec, httpGet: http, sleep } = handler;
  if (sleep) return deps.clock.sleep(sleep.seconds * 1000, signal);
  if (exec) return runExec(given.containerId, exec.command ?? [], deps.runtime, signal);
  if (!http) throw new Error('invalid handler');
  const answer = await httpGet(
    {
      scheme: http.scheme === 'HTTPS' ? 'https' : 'http',
      host: http.host || given.podIp,
      port: portNumber(http.port, given.container),
      path: http.path ?? '/',
      headers: http.httpHeaders ?? [],
      userAgent: USER_AGENT,
      timeoutMs: HTTP_TIMEOUT_MS,
    },
    signal,
  );
  if (answer.status >= 400) throw new Error(`HTTP status ${answer.status}`);
}

async function runExec(
  containerId: string,
  command: readonly string[],
  runtime: ContainerRuntime,
  signal: AbortSignal,
): Promise<void> {
  const { stdout, stderr, exitCode } = await runtime.execSync(containerId, command, 0, signal);
  if (exitCode === 0) return;
  const output = Buffer.concat([stdout, stderr]).toString('utf8');
  const words = `[${command.join(' ')}]`;
  throw new Error(
    `Exec lifecycle hook (${words}) exited with ${exitCode}, message: ${JSON.stringify(output)}`,
  );
}

/** As the events say it. */
export function hookFailure(kind: 'PostStart' | 'PreStop', err: unknown): string {
  return `${kind}Hook failed: ${errorMessage(err)}`;
}
