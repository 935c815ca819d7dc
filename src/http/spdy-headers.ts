import { createInflate, type Inflate } from 'node:zlib';
import { SpdyError } from './spdy-frames.ts';

/** Names are lower case; several values of one name are joined by NUL. */
export type SpdyHeaders = Readonly<Record<string, string>>;

/** Words of the dictionary that stand in it with their length (section 2.6.10.1). */
const WORDS =
  `options head post put delete trace accept accept-charset accept-encoding accept-language accept-ranges age
allow authorization cache-control connection content-base content-encoding content-language content-length
content-location content-md5 content-range content-type date etag expect expires from host if-match if-modified-since
if-none-match if-range if-unmodified-since last-modified location max-forwards pragma proxy-authenticate
proxy-authorization range referer retry-after server te trailer transfer-encoding upgrade user-agent vary via warning
www-authenticate method get status`.split(/\s+/);
const MORE_WORDS = [
  '200 OK',
  'version',
  'HTTP/1.1',
  'url',
  'public',
  'set-cookie',
  'keep-alive',
  'origin',
];
const TAIL =
  '100101201202205206300302303304305306307402405406407408409410411412413414415416417502504505' +
  '203 Non-Authoritative Information204 No Content301 Moved Permanently400 Bad Request401 Unauthorized' +
  '403 Forbidden404 Not Found500 Internal Server Error501 Not Implemented503 Service Unavailable' +
  'Jan Feb Mar Apr May Jun Jul Aug Sept Oct Nov Dec 00:00:00 Mon, Tue, Wed, Thu, Fri, Sat, Sun, GMT' +
  'chunked,text/html,image/png,image/jpg,image/gif,application/xml,application/xhtml+xml,text/plain,' +
  'text/javascript,publicprivatemax-age=gzip,deflate,sdchcharset=utf-8charset=iso-8859-1,utf-,*,enq=0.';

export function spdyDictionary(): Buffer {
  const words = [...WORDS, ...MORE_WORDS].map(withLength);
  return Buffer.concat([...words, Buffer.from(TAIL, 'latin1')]);
}

function withLength(text: string): Buffer {
  const bytes = Buffer.from(text, 'utf8');
  const length = Buffer.alloc(4);
  length.writeUInt32BE(bytes.length);
  return Buffer.concat([length, bytes]);
}

/** All header blocks of one direction are one zlib stream. */
const ZLIB_HEADER = Buffer.from([0x78, 0x01]);
/** An empty stored block: without it Go's inflater waits for more before it hands out what it has. */
const SYNC_FLUSH = Buffer.from([0x00, 0x00, 0x00, 0xff, 0xff]);
const MAX_STORED = 0xffff;

/**
 * Writes header blocks, in order of sending. They go out as stored deflate blocks: legal zlib that every peer
 * reads, and the few hundred bytes of a session are not worth compressing.
 */
export class HeaderWriter {
  #started = false;

  encode(headers: SpdyHeaders): Buffer {
    const entries = Object.entries(headers);
    const count = Buffer.alloc(4);
    count.writeUInt32BE(entries.length);
    const pairs = entries.flatMap(([name, value]) => [
      withLength(name.toLowerCase()),
      withLength(value),
    ]);
    const plain = Buffer.concat([count, ...pairs]);
    if (plain.length > MAX_STORED) throw new SpdyError('SPDY headers are too long');
    const block = Buffer.alloc(5);
    block.writeUInt16LE(plain.length, 1);
    block.writeUInt16LE(~plain.length & 0xffff, 3);
    const parts = [...(this.#started ? [] : [ZLIB_HEADER]), block, plain, SYNC_FLUSH];
    this.#started = true;
    return Buffer.concat(parts);
  }
}

const MAX_HEADERS = 1 << 16;

/** Reads header blocks; must be given every one, in order of arrival, one at a time. */
export class HeaderReader {
  readonly #inflate: Inflate = createInflate({ dictionary: spdyDictionary() });
  #chunks: Buffer[] = [];
  #failure: Error | undefined;

  constructor() {
    this.#inflate.on('data', (chunk: Buffer) => this.#chunks.push(chunk));
    this.#inflate.on('error', (err) => {
      this.#failure = err;
    });
  }

  async decode(block: Buffer): Promise<SpdyHeaders> {
    if (this.#failure) throw new SpdyError('Broken SPDY header stream', { cause: this.#failure });
    this.#chunks = [];
    await new Promise<void>((resolve, reject) => {
      const fail = (err: Error) =>
        reject(new SpdyError('Broken SPDY header block', { cause: err }));
      this.#inflate.once('error', fail);
      this.#inflate.write(block, (err) => {
        this.#inflate.off('error', fail);
        if (err) fail(err);
        else resolve();
      });
    });
    return parseHeaders(Buffer.concat(this.#chunks));
  }

  close(): void {
    this.#inflate.destroy();
  }
}

function parseHeaders(plain: Buffer): SpdyHeaders {
  if (plain.length > MAX_HEADERS) throw new SpdyError('SPDY headers are too long');
  let at = 0;
  const number = (): number => {
    if (at + 4 > plain.length) throw new SpdyError('Truncated SPDY headers');
    at += 4;
    return plain.readUInt32BE(at - 4);
  };
  const text = (): string => {
    const length = number();
    if (at + length > plain.length) throw new SpdyError('Truncated SPDY headers');
    at += length;
    return plain.toString('utf8', at - length, at);
  };
  const out: Record<string, string> = Object.create(null);
  for (let left = number(); left > 0; left--) {
    const name = text();
    out[name.toLowerCase()] = text();
  }
  return out;
}
