import { type FileHandle, open } from 'node:fs/promises';
import { join } from 'node:path';
import { DATA_FILE } from './files.ts';
import type { Tables } from './tables.ts';

// When less than this is left, so much is added. Small enough to be written between two commits.
const LOW_BYTES = 1 << 20;
const STEP_BYTES = 4 << 20;
const ZEROS = Buffer.alloc(1 << 18);

/**
 * Keeps written room behind what lmdb uses of its file. A flush of a file that grows must also commit the file system's
 * journal, which costs as much again, and more on a busy disk; writing over zeros does not.
 * Must only be asked while lmdb writes nothing: both write behind the used part.
 */
export class FileRoom {
  readonly #tables: Tables;
  #handle: FileHandle | undefined;
  /** As far as the file is written; 0: not known yet. */
  #end = 0;
  /** Not before so much is used is more room asked for: the disk had none. */
  #tryAgainAt = 0;

  constructor(tables: Tables) {
    this.#tables = tables;
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
      this.#tryAgainAt = used + STEP_BYTES;
    }
  }

  async close(): Promise<void> {
    await this.#handle?.close();
  }

  async #extend(handle: FileHandle): Promise<void> {
    for (const end = this.#end + STEP_BYTES; this.#end < end; ) {
      const { bytesWritten } = await handle.write(ZEROS, 0, ZEROS.length, this.#end);
      this.#end += bytesWritten;
    }
    await handle.datasync();
  }
}
