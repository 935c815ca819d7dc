import { once } from 'node:events';
import type { ServerResponse } from 'node:http';

// Chunks of this size keep system calls few without holding the list a second time.
const CHUNK_BYTES = 64 * 1024;

/** Gathers small pieces to large writes, and waits for a client that is slow. Large pieces are not copied. */
export class Gathered {
  readonly #res: ServerResponse;
  #pieces: Buffer[] = [];
  #size = 0;

  constructor(res: ServerResponse) {
    this.#res = res;
  }

  get isFull(): boolean {
    return this.#size >= CHUNK_BYTES;
  }

  add(bytes: Buffer): void {
    if (bytes.length >= CHUNK_BYTES) {
      this.#write();
      this.#res.write(bytes);
    } else this.#pieces.push(bytes);
    this.#size += bytes.length;
  }

  /** False when the client left. */
  async flush(): Promise<boolean> {
    this.#write();
    this.#size = 0;
    if (this.#res.writableNeedDrain) await drained(this.#res);
    return !this.#res.destroyed;
  }

  // One chunk of HTTP, and one system call. Joining them here would leave the garbage collector as much as is sent.
  #write(): void {
    this.#res.cork();
    for (const piece of this.#pieces) this.#res.write(piece);
    this.#res.uncork();
    this.#pieces = [];
  }
}

async function drained(res: ServerResponse): Promise<void> {
  if (res.destroyed) return;
  const left = new AbortController();
  const { signal } = left;
  try {
    await Promise.race([once(res, 'drain', { signal }), once(res, 'close', { signal })]);
  } finally {
    left.abort();
  }
}
