import { type FileHandle, open } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock } from '../../util/clock.ts';
import { DATA_FILE } from './files.ts';
import type { Tables } from './tables.ts';

// When less than this is left, more is added.
const LOW_BYTES = 512 << 10;
// The next commit waits for what is added. So the slower a store grows, the less is added at a time: what it needs
// within about a hundred milliseconds.
const LEAST_STEP_BYTES = 512 << 10;
const MOST_STEP_BYTES = 4 << 20;
const SOON_MS = 100;
const ZEROS = Buffer.alloc(1 << 18);

/**
 * Keeps written room behind what lmdb uses of its file. A flush of a file that grows must also commit the file system's
 * journal, which costs as much again, and more on a busy disk; writing over zeros does not.
 * Must only be asked while lmdb writes nothing: both write behind the used part.
 */
export class FileRoom {
  readonly #tables: Tables;
  readonly #clock: Clock;
  #handle: FileHandle | undefined;
  /** As far as the file is written; 0: not known yet. */
  #end = 0;
  /** Not before so much is used is more room asked for: the disk had none. */
  #tryAgainAt = 0;
  /** What was added last, and when. */
  #step = LEAST_STEP_BYTES;
  #extendedAt = 0;

  constructor(deps: { tables: Tables; clock: Clock }) {
    this.#tables = deps.tables;
    this.#clock = deps.clock;
  }

  async ensure(): Promise<void> {
    const used = this.#tables.size;
    if ((this.#end > 0 && this.#end - used >= LOW_BYTES) || used < this.#tryAgainAt) return;
    try {
      this.#handle ??= await open(join(this.#tables.directory, DATA_FILE), 'r+');
      const { size } = await this.#handle.stat();
      this.#end = Math.max(size, used);
      if (this.#end - used < LOW_BYTES) await this.#extend(this.#handle);
    } catch {
      // A full disk: lmdb finds out by itself when it needs more.
      this.#tryAgainAt = used + LOW_BYTES;
    }
  }

  async close(): Promise<void> {
    await this.#handle?.close();
  }

  /** The flush is left to the commit behind this: a room that is lost with the machine's power is made again. */
  async #extend(handle: FileHandle): Promise<void> {
    const now = this.#clock.now();
    this.#step = nextStep(this.#step, now - this.#extendedAt);
    this.#extendedAt = now;
    for (const end = this.#end + this.#step; this.#end < end; ) {
      const { bytesWritten } = await handle.write(ZEROS, 0, ZEROS.length, this.#end);
      this.#end += bytesWritten;
    }
  }
}

/** How much to add when `last` was used up within so many milliseconds. */
function nextStep(last: number, elapsedMs: number): number {
  if (elapsedMs < SOON_MS) return Math.min(MOST_STEP_BYTES, last * 2);
  return elapsedMs > 4 * SOON_MS ? Math.max(LEAST_STEP_BYTES, last / 2) : last;
}
