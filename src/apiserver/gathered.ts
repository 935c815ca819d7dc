import { once } from 'node:events';
import type { Writable } from 'node:stream';

// Chunks of this size keep system calls few without holding the list a second time.
const CHUNK_BYTES = 64 * 1024;

/** Gathers small pieces to large writes, and waits for a client that is slow. Large pieces are not copied. */
export class Gathered {
  readonly #sink: Writable;
  #pieces: Buffer[] = [];
  #size = 0;

  constructor(sink: Writable) {
    this.#sink = sink;
  }

  get isFull(): boolean {
    return this.#size >= CHUNK_BYTES;
  }

  add(bytes: Buffer): void {
    if (bytes.length >= CHUNK_BYTES) {
      this.#write();
      this.#sink.write(bytes);
    } else this.#pieces.push(bytes);
    this.#size += bytes.length;
  }

  /** False when the client left. */
  async flush(): Promise<boolean> {
    this.#write();
    this.#size = 0;
    if (this.#sink.writableNeedDrain) await drained(this.#sink);
    return !this.#sink.destroyed;
  }

  // One chunk of HTTP, and one system call. Joining them here would leave the garbage collector as much as is sent.
  #write(): void {
    this.#sink.cork();
    for (const piece of this.#pieces) this.#sink.write(piece);
    this.#sink.uncork();
    this.#pieces = [];
  }
}

async function drained(sink: Writable): Promise<void> {
  if (sink.destroyed) return;
  const left = new AbortController();
  const { signal } = left;
  try {
    await Promise.race([once(sink, 'drain', { signal }), once(sink, 'close', { signal })]);
  } finally {
    left.abort();
  }
}
