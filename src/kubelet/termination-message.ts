import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { errnoOf } from '../util/errors.ts';
import { parseLogLine } from './logs/cri-log.ts';
import { MESSAGE_POLICY_ANNOTATION } from './names.ts';
import type { PodDirs } from './pod-dirs.ts';
import type { RuntimeContainer, RuntimePod } from './runtime-pod.ts';

const MAX_MESSAGE = 4096;
const MAX_LOG_BYTES = 2048;
const MAX_LOG_LINES = 80;

/** What an ended container left: its message file, or the end of its log where the policy says so. */
export async function terminationMessage(
  container: RuntimeContainer,
  pod: Pick<RuntimePod, 'uid' | 'name' | 'namespace'>,
  dirs: PodDirs,
): Promise<string> {
  const file = dirs.messageFile(pod.uid, container.name, container.attempt);
  const message = await tail(file, { bytes: MAX_MESSAGE, fromStart: true });
  const fallsBack = container.annotations[MESSAGE_POLICY_ANNOTATION] === 'FallbackToLogsOnError';
  if (message !== '' || !fallsBack || container.exitCode === 0) return message;
  const log = container.logPath.startsWith('/')
    ? container.logPath
    : join(dirs.podLogs({ metadata: pod }), container.name, `${container.attempt}.log`);
  const raw = await tail(log, { bytes: 4 * MAX_LOG_BYTES, fromStart: false });
  const lines = raw
    .split('\n')
    .map((line) => parseLogLine(line))
    .filter((line) => line !== undefined);
  const text = lines
    .slice(-MAX_LOG_LINES)
    .map((line) => line.content + (line.partial ? '' : '\n'))
    .join('');
  return Buffer.from(text).subarray(-MAX_LOG_BYTES).toString('utf8');
}

async function tail(
  path: string,
  { bytes, fromStart }: { bytes: number; fromStart: boolean },
): Promise<string> {
  try {
    await using file = await open(path);
    const { size } = await file.stat();
    const position = fromStart ? 0 : Math.max(0, size - bytes);
    const { buffer, bytesRead } = await file.read(Buffer.alloc(bytes), 0, bytes, position);
    return buffer.subarray(0, bytesRead).toString('utf8');
  } catch (err) {
    if (errnoOf(err) === 'ENOENT') return '';
    throw err;
  }
}
