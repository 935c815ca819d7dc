import { createWriteStream, type WriteStream } from 'node:fs';
import { mkdir, open } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Readable } from 'node:stream';

/** One line of a container's log as it stands in a CRI file. */
type Stream = 'stdout' | 'stderr';

const FRAME_HEADER = 8;
const NEWLINE = 0x0a;
const BLANK = 0x20;
const TAIL = 64 * 1024;

/**
 * Follows what a container prints and writes it where, and as, a CRI runtime would: `TIME STREAM P|F TEXT`. The engine
 * keeps the log; whatever is missing after a restart of the kubelet is fetched from it again.
 */
export class LogConverter {
  readonly #path: string;
  #file: WriteStream | undefined;
  /** Resolves when the engine has no more to tell. */
  readonly ended: Promise<void>;

  constructor(path: string, source: LogSource, options: { tty: boolean }) {
    this.#path = path;
    this.ended = this.#run(source, options.tty);
  }

  /** Goes on in a new file of the same name. */
  async reopen(): Promise<void> {
    const before = this.#file;
    this.#file = createWriteStream(this.#path, { flags: 'a', mode: 0o640 });
    before?.end();
  }

  async #run(source: LogSource, tty: boolean): Promise<void> {
    await mkdir(dirname(this.#path), { recursive: true });
    const last = await lastTime(this.#path);
    this.#file = createWriteStream(this.#path, { flags: 'a', mode: 0o640 });
    try {
      const stream = await source(last);
      const parser = new LogParser(tty, last ?? '');
      for await (const chunk of stream) await this.#write(parser.push(chunk as Buffer));
    } finally {
      const file = this.#file;
      await new Promise<void>((resolve) => file.end(resolve));
    }
  }

  #write(text: Buffer): Promise<void> {
    const file = this.#file;
    if (!file || text.length === 0) return Promise.resolve();
    return new Promise((resolve, reject) => {
      file.write(text, (err) => (err ? reject(err) : resolve()));
    });
  }
}

/** Opens the engine's log, from a time on (RFC 3339), with a time before each message. */
export type LogSource = (since: string | undefined) => Promise<Readable>;

/** Turns the engine's stream into lines of a CRI log; what is not newer than `after` has been written before. */
export class LogParser {
  readonly #tty: boolean;
  readonly #after: string;
  #rest: Buffer = Buffer.alloc(0);

  constructor(tty: boolean, after: string) {
    this.#tty = tty;
    this.#after = after;
  }

  push(chunk: Buffer): Buffer {
    const data = this.#rest.length > 0 ? Buffer.concat([this.#rest, chunk]) : chunk;
    const lines: Buffer[] = [];
    const used = this.#tty ? this.#terminal(data, lines) : this.#frames(data, lines);
    this.#rest = Buffer.from(data.subarray(used));
    return Buffer.concat(lines);
  }

  /** Docker's multiplexed form: a byte for the stream, three zeros, four bytes of length, then one message. */
  #frames(data: Buffer, lines: Buffer[]): number {
    let at = 0;
    while (data.length - at >= FRAME_HEADER) {
      const end = at + FRAME_HEADER + data.readUInt32BE(at + 4);
      if (end > data.length) break;
      const stream = data[at] === 2 ? 'stderr' : 'stdout';
      this.#message(stream, data.subarray(at + FRAME_HEADER, end), lines);
      at = end;
    }
    return at;
  }

  /** A terminal's output has no frames: lines end it. */
  #terminal(data: Buffer, lines: Buffer[]): number {
    let at = 0;
    for (let end = data.indexOf(NEWLINE); end >= 0; end = data.indexOf(NEWLINE, at)) {
      this.#message('stdout', data.subarray(at, end + 1), lines);
      at = end + 1;
    }
    return at;
  }

  /** A time, a blank, and what was printed; without a newline at its end it was cut, and the rest follows. */
  #message(stream: Stream, message: Buffer, lines: Buffer[]): void {
    const blank = message.indexOf(BLANK);
    if (blank < 0) return;
    const time = message.toString('latin1', 0, blank);
    if (time <= this.#after) return;
    const whole = message[message.length - 1] === NEWLINE;
    const text = message.subarray(blank + 1, whole ? message.length - 1 : message.length);
    lines.push(Buffer.from(`${time} ${stream} ${whole ? 'F' : 'P'} `), text, Buffer.from('\n'));
  }
}

/** The time of the last line that has been written; undefined for an empty or missing file. */
async function lastTime(path: string): Promise<string | undefined> {
  const file = await open(path).catch(() => undefined);
  if (!file) return undefined;
  try {
    const { size } = await file.stat();
    const length = Math.min(size, TAIL);
    const { buffer } = await file.read(Buffer.alloc(length), 0, length, size - length);
    const lines = buffer.toString('latin1').trimEnd().split('\n');
    return /^(\S+) std(out|err) [FP] /.exec(lines.at(-1) ?? '')?.[1];
  } finally {
    await file.close();
  }
}
