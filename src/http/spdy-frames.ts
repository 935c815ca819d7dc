/**
 * SPDY/3.1 frames (draft-mbelshe-httpbis-spdy-00, sections 2.2 and 2.6), as bytes and back. Header blocks stay
 * compressed here; spdy-headers.ts reads them. Only what exec, attach and port-forward use is understood; other
 * control frames are `ignored`.
 */
export type SpdyFrame =
  | { readonly type: 'data'; readonly stream: number; readonly fin: boolean; readonly data: Buffer }
  | {
      readonly type: 'syn-stream';
      readonly stream: number;
      readonly fin: boolean;
      readonly headers: Buffer;
    }
  | {
      readonly type: 'syn-reply' | 'headers';
      readonly stream: number;
      readonly fin: boolean;
      readonly headers: Buffer;
    }
  | { readonly type: 'rst-stream'; readonly stream: number; readonly status: number }
  | { readonly type: 'ping'; readonly id: number }
  | { readonly type: 'goaway'; readonly lastStream: number; readonly status: number }
  | { readonly type: 'window-update'; readonly stream: number; readonly delta: number }
  | { readonly type: 'ignored' };

const VERSION = 3;
const FIN = 0x01;
const HEAD = 8;
const STREAM_MASK = 0x7fffffff;
/** What moby/spdystream writes at most is far below; more is an attack or not SPDY. */
const MAX_FRAME = 1 << 20;

const CONTROL = {
  synStream: 1,
  synReply: 2,
  rstStream: 3,
  ping: 6,
  goaway: 7,
  headers: 8,
  windowUpdate: 9,
} as const;

/** RST_STREAM status codes (section 2.6.3). */
export const RST = { protocolError: 1, invalidStream: 2, refused: 3, cancel: 5 } as const;

export class SpdyError extends Error {
  override readonly name = 'SpdyError';
}

/** Cuts a byte stream into frames. Throws SpdyError when it is not SPDY/3. */
export class FrameReader {
  #pending: Buffer = Buffer.alloc(0);

  push(chunk: Buffer): void {
    this.#pending = this.#pending.length === 0 ? chunk : Buffer.concat([this.#pending, chunk]);
  }

  /** The next whole frame, if it has arrived. */
  next(): SpdyFrame | undefined {
    if (this.#pending.length < HEAD) return undefined;
    const length = this.#pending.readUIntBE(5, 3);
    if (length > MAX_FRAME) throw new SpdyError(`SPDY frame of ${length} bytes is too long`);
    if (this.#pending.length < HEAD + length) return undefined;
    const head = this.#pending.subarray(0, HEAD);
    const body = this.#pending.subarray(HEAD, HEAD + length);
    this.#pending = this.#pending.subarray(HEAD + length);
    return parseFrame(head, body);
  }
}

function parseFrame(head: Buffer, body: Buffer): SpdyFrame {
  const fin = (head.readUInt8(4) & FIN) !== 0;
  const first = head.readUInt32BE(0);
  if (first >>> 31 === 0) return { type: 'data', stream: first & STREAM_MASK, fin, data: body };
  const version = (first >>> 16) & 0x7fff;
  if (version !== VERSION) throw new SpdyError(`SPDY version ${version} is not supported`);
  return parseControl(first & 0xffff, fin, body);
}

function parseControl(type: number, fin: boolean, body: Buffer): SpdyFrame {
  switch (type) {
    case CONTROL.synStream:
      need(body, 10);
      return { type: 'syn-stream', stream: word(body, 0), fin, headers: body.subarray(10) };
    case CONTROL.synReply:
      need(body, 4);
      return { type: 'syn-reply', stream: word(body, 0), fin, headers: body.subarray(4) };
    case CONTROL.headers:
      need(body, 4);
      return { type: 'headers', stream: word(body, 0), fin, headers: body.subarray(4) };
    case CONTROL.rstStream:
      need(body, 8);
      return { type: 'rst-stream', stream: word(body, 0), status: body.readUInt32BE(4) };
    case CONTROL.ping:
      need(body, 4);
      return { type: 'ping', id: body.readUInt32BE(0) };
    case CONTROL.goaway:
      need(body, 8);
      return { type: 'goaway', lastStream: word(body, 0), status: body.readUInt32BE(4) };
    case CONTROL.windowUpdate:
      need(body, 8);
      return { type: 'window-update', stream: word(body, 0), delta: word(body, 4) };
    default:
      return { type: 'ignored' };
  }
}

function need(body: Buffer, length: number): void {
  if (body.length < length) throw new SpdyError('Truncated SPDY control frame');
}

function word(body: Buffer, at: number): number {
  return body.readUInt32BE(at) & STREAM_MASK;
}

export function dataFrame(stream: number, data: Uint8Array, fin: boolean): Buffer[] {
  const head = Buffer.alloc(HEAD);
  head.writeUInt32BE(stream & STREAM_MASK, 0);
  head.writeUInt8(fin ? FIN : 0, 4);
  head.writeUIntBE(data.length, 5, 3);
  return [head, Buffer.from(data.buffer, data.byteOffset, data.byteLength)];
}

function controlFrame(type: number, flags: number, body: Buffer): Buffer {
  const head = Buffer.alloc(HEAD);
  head.writeUInt16BE(0x8000 | VERSION, 0);
  head.writeUInt16BE(type, 2);
  head.writeUInt8(flags, 4);
  head.writeUIntBE(body.length, 5, 3);
  return Buffer.concat([head, body]);
}

function words(...values: number[]): Buffer {
  const out = Buffer.alloc(values.length * 4);
  values.forEach((value, i) => {
    out.writeUInt32BE(value >>> 0, i * 4);
  });
  return out;
}

/** Opens a stream: no parent, highest priority, no credential slot. */
export function synStreamFrame(stream: number, headers: Buffer): Buffer {
  const fixed = Buffer.concat([words(stream, 0), Buffer.alloc(2)]);
  return controlFrame(CONTROL.synStream, 0, Buffer.concat([fixed, headers]));
}

export function synReplyFrame(stream: number, headers: Buffer): Buffer {
  return controlFrame(CONTROL.synReply, 0, Buffer.concat([words(stream), headers]));
}

export function rstStreamFrame(stream: number, status: number): Buffer {
  return controlFrame(CONTROL.rstStream, 0, words(stream, status));
}

export function pingFrame(id: number): Buffer {
  return controlFrame(CONTROL.ping, 0, words(id));
}

export function goawayFrame(lastStream: number): Buffer {
  return controlFrame(CONTROL.goaway, 0, words(lastStream, 0));
}
