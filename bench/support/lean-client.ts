import { once } from 'node:events';
import { connect, type TLSSocket } from 'node:tls';

export interface LeanOptions {
  readonly port: number;
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
}

export interface LeanAnswer {
  readonly status: number;
  /** Of the body. */
  readonly bytes: number;
  /** The body's beginning. */
  readonly text: string;
}

const END_OF_HEAD = Buffer.from('\r\n\r\n');
const END_OF_CHUNKS = Buffer.from('0\r\n\r\n');
const TEXT_BYTES = 4096;

/** HTTP/1.1 over one TLS connection, one request after the other: as little work as a client can have. */
export class LeanClient {
  readonly #socket: TLSSocket;
  #take: ((chunk: Buffer) => void) | undefined;
  #fail: ((err: Error) => void) | undefined;
  #isClosed = false;

  private constructor(socket: TLSSocket) {
    this.#socket = socket;
    socket.on('data', (chunk: Buffer) => this.#take?.(chunk));
    socket.on('error', (err) => this.#fail?.(err));
    socket.on('close', () => {
      this.#isClosed = true;
      this.#fail?.(new Error('The connection was closed'));
    });
  }

  static async connect({ port, ...tls }: LeanOptions): Promise<LeanClient> {
    const socket = connect({ host: '127.0.0.1', port, ...tls, ALPNProtocols: ['http/1.1'] });
    await once(socket, 'secureConnect');
    socket.setNoDelay(true);
    return new LeanClient(socket);
  }

  request(method: string, path: string, body = '', type = 'application/json'): Promise<LeanAnswer> {
    if (this.#isClosed) return Promise.reject(new Error('The connection was closed'));
    const { promise, resolve, reject } = Promise.withResolvers<LeanAnswer>();
    const reader = new AnswerReader();
    this.#fail = reject;
    this.#take = (chunk) => {
      const answer = reader.take(chunk);
      if (answer) resolve(answer);
    };
    this.#write(method, path, body, type);
    return promise;
  }

  /** Everything that is received from now on goes to `onData`, heads and all. */
  stream(path: string, onData: (chunk: Buffer) => void): void {
    this.#take = onData;
    this.#write('GET', path, '', 'application/json');
  }

  /** Stops reading, or goes on. */
  pause(paused: boolean): void {
    if (paused) this.#socket.pause();
    else this.#socket.resume();
  }

  close(): void {
    this.#fail = undefined;
    this.#socket.destroy();
  }

  #write(method: string, path: string, body: string, type: string): void {
    const length =
      body === '' ? '' : `content-type: ${type}\r\ncontent-length: ${Buffer.byteLength(body)}\r\n`;
    this.#socket.write(`${method} ${path} HTTP/1.1\r\nhost: localhost\r\n${length}\r\n${body}`);
  }
}

/** Reads one answer: with a Content-Length, or in chunks, whose end is looked for. */
class AnswerReader {
  #head: Buffer | undefined;
  #start = Buffer.alloc(0);
  #tail = Buffer.alloc(0);
  #bytes = 0;
  #length: number | undefined;

  take(chunk: Buffer): LeanAnswer | undefined {
    if (!this.#head) {
      this.#start = Buffer.concat([this.#start, chunk]);
      const end = this.#start.indexOf(END_OF_HEAD);
      if (end < 0) return undefined;
      this.#head = this.#start.subarray(0, end);
      const found = /content-length: (\d+)/i.exec(this.#head.toString('latin1'));
      this.#length = found ? Number(found[1]) : undefined;
      const rest = this.#start.subarray(end + END_OF_HEAD.length);
      this.#start = Buffer.alloc(0);
      return this.#body(rest);
    }
    return this.#body(chunk);
  }

  #body(chunk: Buffer): LeanAnswer | undefined {
    this.#bytes += chunk.length;
    if (this.#start.length < TEXT_BYTES) this.#start = Buffer.concat([this.#start, chunk]);
    if (this.#length !== undefined) return this.#bytes >= this.#length ? this.#answer() : undefined;
    this.#tail = Buffer.concat([this.#tail, chunk]).subarray(-END_OF_CHUNKS.length);
    return this.#tail.equals(END_OF_CHUNKS) ? this.#answer() : undefined;
  }

  #answer(): LeanAnswer {
    const status = Number(this.#head?.toString('latin1', 9, 12));
    return { status, bytes: this.#bytes, text: this.#start.toString('latin1', 0, TEXT_BYTES) };
  }
}
