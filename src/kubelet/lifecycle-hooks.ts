import type { Container, Pod } from '../api/types.ts';
import type { EventRecorder } from '../client/client.ts';
import type { Clock } from '../util/clock.ts';
import { errorMessage } from '../util/errors.ts';
import { inexact } from '../util/exact-json.ts';
import { BodyError } from './http-answer.ts';
import { type HttpGet, httpGet, PlainAnswerError, urlOf } from './http-get.ts';
import { portNumber } from './ports.ts';
import type { ContainerRuntime } from './runtime/runtime.ts';

type Handler = NonNullable<NonNullable<Container['lifecycle']>['preStop']>;

const USER_AGENT = 'kube-lifecycle/1.36';

export interface HookDeps {
  runtime: ContainerRuntime;
  clock: Clock;
  recorder: EventRecorder;
}

/** Runs a postStart or preStop handler to its end; throws when it fails. */
export async function runHook(
  handler: Handler,
  given: { pod: Pod; container: Container; containerId: string; podIp: string },
  deps: HookDeps,
  signal: AbortSignal,
): Promise<void> {
  const { exec, httpGet: http, sleep } = handler;
  if (sleep) return deps.clock.sleep(inexact(sleep.seconds) * 1000, signal);
  if (exec) return runExec(given.containerId, exec.command ?? [], deps.runtime, signal);
  if (!http) throw new Error('invalid handler');
  const get: HttpGet = {
    scheme: http.scheme === 'HTTPS' ? 'https' : 'http',
    host: http.host || given.podIp,
    port: portNumber(http.port, given.container),
    path: http.path ?? '/',
    headers: http.httpHeaders ?? [],
    userAgent: USER_AGENT,
  };
  await runHttp(get, { pod: given.pod, recorder: deps.recorder }, signal);
}

/**
 * Whatever the answer's status is: that it came is enough. As long as it takes, too: a preStop hook may have all of the
 * grace period. From the time when hooks knew no HTTPS, one who asks for it of a plain server gets plain HTTP.
 */
async function runHttp(
  get: HttpGet,
  { pod, recorder }: { pod: Pod; recorder: EventRecorder },
  signal: AbortSignal,
): Promise<void> {
  try {
    await httpGet(get, signal);
  } catch (err) {
    if (err instanceof BodyError) return;
    if (!(err instanceof PlainAnswerError)) throw err;
    const headers = get.headers.filter((h) => h.name.toLowerCase() !== 'authorization');
    await httpGet({ ...get, scheme: 'http', headers }, signal).catch((second: unknown) => {
      if (!(second instanceof BodyError)) throw err;
    });
    const host = new URL(urlOf(get)).host;
    const message = `request to HTTPS lifecycle hook ${host} got HTTP response, retry with HTTP succeeded`;
    recorder.event(pod, 'Warning', 'LifecycleHTTPFallback', message);
  }
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
