import { constants, readSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { uptime } from 'node:os';
import type { Clock } from '../util/clock.ts';
import { errnoOf } from '../util/errors.ts';

const PERIOD_MS = 5000;
const RECORD_BYTES = 8192;

/**
 * What the kernel says from now on, a text for each of its records (dev-kmsg). Throws where the file cannot be read, as in
 * many containers. Looks every few seconds: a reader that waits would hold a thread for ever.
 */
export async function* kernelMessages(
  { clock, path = '/dev/kmsg' }: { clock: Clock; path?: string },
  signal: AbortSignal,
): AsyncGenerator<string> {
  const since = uptime() * 1e6;
  await using file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
  while (!signal.aborted) {
    for (const record of pending(file.fd)) {
      const [head = '', text = ''] = splitAt(record, ';');
      const microseconds = Number(head.split(',')[2]);
      if (microseconds >= since) yield text.split('\n')[0] ?? '';
    }
    await clock.sleep(PERIOD_MS, signal).catch(() => {});
  }
}

/** Each read is one record, and none waits; records that were overwritten before they were read are skipped. */
function* pending(fd: number): Generator<string> {
  const buffer = Buffer.alloc(RECORD_BYTES);
  for (;;) {
    try {
      const bytesRead = readSync(fd, buffer, 0, RECORD_BYTES, null);
      if (bytesRead === 0) return;
      yield buffer.toString('utf8', 0, bytesRead);
    } catch (err) {
      if (errnoOf(err) === 'EAGAIN') return;
      if (errnoOf(err) !== 'EPIPE') throw err;
    }
  }
}

function splitAt(text: string, separator: string): [string, string] {
  const at = text.indexOf(separator);
  return at < 0 ? [text, ''] : [text.slice(0, at), text.slice(at + 1)];
}
