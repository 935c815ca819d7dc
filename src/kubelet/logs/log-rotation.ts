import { createReadStream, createWriteStream } from 'node:fs';
import { readdir, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import type { Clock } from '../../util/clock.ts';
import { errorMessage } from '../../util/errors.ts';
import type { Logger } from '../../util/log.ts';

/** A running container's log. */
export interface OpenLog {
  readonly containerId: string;
  /** Absolute. */
  readonly path: string;
}

export interface LogRotationDeps {
  clock: Clock;
  log: Logger;
  running(): readonly OpenLog[];
  /** Lets the engine write to a new file of the same name. */
  reopen(containerId: string, signal: AbortSignal): Promise<void>;
}

export interface LogRotationOptions {
  /** Bytes at which a log is moved aside; negative is never. */
  readonly maxSize: number;
  /** Files of one container, the one that is written included. */
  readonly maxFiles: number;
  readonly periodMs: number;
}

/** Moves logs aside that have grown too large: the last one as it is, older ones compressed, the oldest removed. */
export class LogRotation {
  readonly #deps: LogRotationDeps;
  readonly #options: LogRotationOptions;

  constructor(deps: LogRotationDeps, options: LogRotationOptions) {
    this.#deps = deps;
    this.#options = options;
  }

  /** Works until aborted. */
  async run(signal: AbortSignal): Promise<void> {
    if (this.#options.maxSize < 0) return;
    while (!signal.aborted) {
      await this.#deps.clock.sleep(this.#options.periodMs, signal).catch(() => {});
      if (!signal.aborted) await this.rotateAll(signal);
    }
  }

  async rotateAll(signal: AbortSignal): Promise<void> {
    for (const open of this.#deps.running()) {
      try {
        const size = (await stat(open.path).catch(() => undefined))?.size ?? 0;
        if (size >= this.#options.maxSize) await this.#rotate(open, signal);
      } catch (err) {
        if (signal.aborted) return;
        this.#deps.log.warn({ path: open.path, err: errorMessage(err) }, 'Cannot rotate a log');
      }
    }
  }

  async #rotate({ containerId, path }: OpenLog, signal: AbortSignal): Promise<void> {
    const { clock, reopen } = this.#deps;
    const { remove, compress } = tidyRotated(await rotatedNames(path), this.#options.maxFiles);
    for (const name of remove) await rm(join(dirname(path), name), { force: true });
    for (const name of compress) await gzip(join(dirname(path), name));
    const aside = `${path}.${stamp(clock.now())}`;
    await rename(path, aside);
    try {
      await reopen(containerId, signal);
    } catch (err) {
      // The engine still writes to the old file: it must stay the container's log.
      await rename(aside, path);
      throw err;
    }
  }
}

/**
 * Which moved files go and which are compressed, before one more is moved: beside the new one and the one that will be
 * written, `maxFiles - 2` may stay. Leftovers of an interrupted compression go. Pure.
 */
export function tidyRotated(
  names: readonly string[],
  maxFiles: number,
): { remove: string[]; compress: string[] } {
  const unfinished = names.filter((name) => name.endsWith('.tmp'));
  const sorted = names.filter((name) => !name.endsWith('.tmp')).sort();
  const surplus = Math.max(0, sorted.length - Math.max(0, maxFiles - 2));
  const kept = sorted.slice(surplus);
  return {
    remove: [...unfinished, ...sorted.slice(0, surplus)],
    compress: kept.filter((name) => !name.endsWith('.gz')),
  };
}

/** Names of the log's earlier parts. */
async function rotatedNames(path: string): Promise<string[]> {
  const prefix = `${basename(path)}.`;
  return (await readdir(dirname(path))).filter((name) => name.startsWith(prefix));
}

async function gzip(path: string): Promise<void> {
  const unfinished = `${path}.tmp`;
  await pipeline(createReadStream(path), createGzip(), createWriteStream(unfinished));
  await rename(unfinished, `${path}.gz`);
  await rm(path, { force: true });
}

/** `20260102-150405`, in the machine's time as upstream has it. */
function stamp(now: number): string {
  const local = new Date(now - new Date(now).getTimezoneOffset() * 60_000).toISOString();
  return local.slice(0, 19).replaceAll(/[-:]/g, '').replace('T', '-');
}
