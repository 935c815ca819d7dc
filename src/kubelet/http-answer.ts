const MAX_BODY = 10 * 1024;
// Node's own parser stops at 16 KiB; what probes ask sends far less.
const MAX_HEAD = 64 * 1024;
const MAX_CHUNK_LINE = 4096;
const EMPTY = Buffer.alloc(0);

const STATUS_LINE = /^HTTP\/1\.\d (\d{3})(?: |$)/;
const END_OF_HEAD = /\r?\n\r?\n/;
const LOCATION = /\nlocation:[ \t]*([^\r\n]*)/i;
const CONTENT_LENGTH = /\ncontent-length:[ \t]*([^\r\n]*)/i;
const CHUNKED = /\ntransfer-encoding:[^\r\n]*\bchunked[ \t]*\r?\n/i;

/** The body of an answer did not come as its head said, or not in time: of the one who answers nothing is known. */
export class BodyError extends Error {
  override readonly name = 'BodyError';
}

/** Takes in an HTTP/1 answer piece by piece; of its body, the first 10 KiB. */
export class HttpAnswerReader {
  status = 0;
  location: string | undefined;
  #rest: Buffer = EMPTY;
  readonly #body: Buffer[] = [];
  #length = 0;
  /** Bytes still to come: of the body, or of the current chunk of it. */
  #left = 0;
  #isChunked = false;

  get body(): string {
    return Buffer.concat(this.#body).toString('utf8');
  }

  get hasHead(): boolean {
    return this.status !== 0;
  }

  /** Answers whether that was all. */
  push(piece: Buffer): boolean {
    this.#rest = this.#rest.length === 0 ? piece : Buffer.concat([this.#rest, piece]);
    while (!this.hasHead) if (!this.#takeHead()) return false;
    return this.#isChunked ? this.#takeChunks() : this.#takeBody();
  }

  /** The connection was closed by the other side. Throws where the answer is not whole by that. */
  end(): void {
    if (!this.hasHead) throw new Error('EOF');
    if (this.#left !== Number.POSITIVE_INFINITY) throw new BodyError('unexpected EOF');
  }

  /** Answers whether it was there. A provisional head (100 Continue) is passed over. */
  #takeHead(): boolean {
    const text = this.#rest.toString('latin1');
    const found = END_OF_HEAD.exec(text);
    if (!found) {
      if (text.length > MAX_HEAD) throw new Error(`server response headers exceeded ${MAX_HEAD}`);
      if (text.length > 8 && !text.startsWith('HTTP/1.')) throw malformed(text);
      return false;
    }
    // With the line's end, so that every field has one before and one behind it.
    const head = text.slice(0, found.index + found[0].length);
    this.#rest = this.#rest.subarray(head.length);
    const status = Number(STATUS_LINE.exec(head.split(/\r?\n/, 1)[0] ?? '')?.[1] ?? 0);
    if (status < 100) throw malformed(head);
    if (status < 200 && status !== 101) return this.#rest.length > 0;
    this.status = status;
    this.location = LOCATION.exec(head)?.[1]?.trimEnd();
    this.#isChunked = CHUNKED.test(head);
    if (!this.#isChunked) this.#left = bodyLength(status, CONTENT_LENGTH.exec(head)?.[1]);
    return true;
  }

  #takeBody(): boolean {
    const piece = this.#rest.subarray(0, Math.min(this.#left, MAX_BODY - this.#length));
    this.#rest = this.#rest.subarray(piece.length);
    this.#left -= piece.length;
    this.#length += piece.length;
    if (piece.length > 0) this.#body.push(piece);
    return this.#left === 0 || this.#length === MAX_BODY;
  }

  #takeChunks(): boolean {
    for (;;) {
      if (this.#left > 0 && !this.#takeBody()) return false;
      if (this.#length === MAX_BODY) return true;
      const line = this.#takeLine();
      if (line === undefined) return false;
      // The end of the chunk before.
      if (line === '' && this.#length > 0) continue;
      this.#left = chunkSize(line);
      if (this.#left === 0) return true;
    }
  }

  #takeLine(): string | undefined {
    const end = this.#rest.indexOf('\n');
    const length = end === -1 ? this.#rest.length : end;
    if (length > MAX_CHUNK_LINE) throw new BodyError('header line too long');
    if (end === -1) return undefined;
    const line = this.#rest.toString('latin1', 0, end).trimEnd();
    this.#rest = this.#rest.subarray(end + 1);
    return line;
  }
}

function chunkSize(line: string): number {
  const size = /^([0-9a-f]{1,8})[ \t]*(?:;.*)?$/i.exec(line)?.[1];
  if (size === undefined) throw new BodyError('invalid byte in chunk length');
  return Number.parseInt(size, 16);
}

function malformed(head: string): Error {
  const line = head.slice(0, 64).split(/\r?\n/, 1)[0];
  return new Error(
    `net/http: HTTP/1.x transport connection broken: malformed HTTP response ${JSON.stringify(line)}`,
  );
}

/** As many bytes as are said, or all until the connection ends. */
function bodyLength(status: number, told: string | undefined): number {
  if (status < 200 || status === 204 || status === 304) return 0;
  if (told === undefined) return Number.POSITIVE_INFINITY;
  if (!/^\d+[ \t]*$/.test(told)) throw new Error(`bad Content-Length ${JSON.stringify(told)}`);
  return Number(told);
}
