import { join } from 'node:path';
import type { Pod } from '../../api/types.ts';
import { errnoOf } from '../../util/errors.ts';
import { type LogOptions, readLog } from '../logs/log-reader.ts';
import { allContainersOf } from '../names.ts';
import type { RuntimeContainer, RuntimePod } from '../runtime-pod.ts';
import { HttpError } from './http-error.ts';
import type { Target } from './target.ts';
import { findPod } from './target.ts';

interface Request {
  res: import('node:http').ServerResponse;
  url: URL;
  parts: string[];
  signal: AbortSignal;
}

/** GET /containerLogs/NAMESPACE/POD/CONTAINER */
export async function containerLogs(
  { res, url, parts, signal }: Request,
  target: Target,
): Promise<void> {
  const [namespace = '', name = '', container = ''] = parts;
  const state = findPod(target, { namespace, name });
  if (!state) throw new HttpError(404, `pod "${name}" not found`);
  const { pod } = state;
  const runtime = target.pleg.get(state.uid);
  if (!allContainersOf(pod).some((c) => c.name === container)) {
    throw new HttpError(404, `container "${container}" not found in pod "${name}"`);
  }
  const previous = url.searchParams.get('previous') === 'true';
  const chosen = choose(pod, runtime, { container, previous });
  const options = logOptions(url.searchParams, target.now());
  const path = chosen.logPath.startsWith('/')
    ? chosen.logPath
    : join(target.dirs.podLogs(pod), container, `${chosen.attempt}.log`);
  const ended = (): boolean =>
    target.pleg.get(state.uid).containers.find((c) => c.id === chosen.id)?.state !== 'running';
  res.writeHead(200, { 'Content-Type': 'text/plain' });
  // The headers alone must reach a follower whose container is silent yet.
  res.flushHeaders();
  try {
    for await (const text of readLog(path, options, { ended }, signal)) {
      await written(res, text, signal);
    }
  } catch (err) {
    if (errnoOf(err) !== 'ENOENT') throw err;
  }
  res.end();
}

/** Resolves when the text has been given to the connection, and its buffer can be used again. */
function written(res: Request['res'], text: Buffer, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    const done = (): void => {
      signal.removeEventListener('abort', done);
      resolve();
    };
    signal.addEventListener('abort', done, { once: true });
    res.write(text, done);
  });
}

/** Which run of the container is meant; a container that never ran has nothing to show. */
function choose(
  pod: Pod,
  runtime: RuntimePod,
  { container, previous }: { container: string; previous: boolean },
): RuntimeContainer {
  const { name } = pod.metadata;
  const runs = runtime.containers.filter((c) => c.name === container && c.state !== 'created');
  const [newest] = runs;
  if (previous) {
    const earlier = newest?.state === 'running' ? runs[1] : (runs[1] ?? undefined);
    if (!earlier) {
      throw new HttpError(
        400,
        `previous terminated container "${container}" in pod "${name}" not found`,
      );
    }
    return earlier;
  }
  if (newest) return newest;
  throw new HttpError(
    400,
    `container "${container}" in pod "${name}" is waiting to start: ${waitingReason(pod, container)}`,
  );
}

function waitingReason(pod: Pod, container: string): string {
  const { containerStatuses = [], initContainerStatuses = [] } = pod.status ?? {};
  const status = [...containerStatuses, ...initContainerStatuses].find((s) => s.name === container);
  const { reason, message } = status?.state?.waiting ?? {};
  if (reason === undefined) return 'no logs yet';
  return reason === 'ErrImagePull' || reason === 'ImagePullBackOff'
    ? (WAITING_WORDS[reason] ?? reason)
    : (WAITING_WORDS[reason] ?? message ?? reason);
}

const WAITING_WORDS: Record<string, string> = {
  ErrImagePull: "image can't be pulled",
  ImagePullBackOff: 'trying and failing to pull image',
  ContainerCreating: 'ContainerCreating',
  PodInitializing: 'PodInitializing',
};

function logOptions(query: URLSearchParams, now: number): LogOptions {
  const number = (name: string): number | undefined => {
    const text = query.get(name);
    if (text === null || text === '') return undefined;
    const value = Number(text);
    if (!Number.isInteger(value) || value < 0) {
      throw new HttpError(422, `invalid value ${JSON.stringify(text)} for ${name}`);
    }
    return value;
  };
  const sinceSeconds = number('sinceSeconds');
  const sinceTime = query.get('sinceTime');
  const stream = query.get('stream');
  return {
    follow: query.get('follow') === 'true',
    timestamps: query.get('timestamps') === 'true',
    tailLines: number('tailLines'),
    limitBytes: number('limitBytes'),
    since:
      sinceSeconds === undefined
        ? sinceTime
          ? Date.parse(sinceTime)
          : undefined
        : now - sinceSeconds * 1000,
    stream: stream === 'Stdout' || stream === 'Stderr' ? stream : undefined,
  };
}
