import { OPT_BYTES } from './message-writer.ts';

export const HEADER_BYTES = 12;
const TYPE_SOA = 6;
const TYPE_OPT = 41;
const RCODE_MASK = 0xf;
const TRUNCATED = 0x0200;

interface ResourceRecord {
  /** 1 answers, 2 authorities, 3 additional records. */
  readonly section: 1 | 2 | 3;
  readonly type: number;
  readonly ttlAt: number;
  readonly end: number;
}

/**
 * The answer of another server, kept as its bytes: records of every type pass unharmed, and names stay compressed. Only
 * what belongs to one exchange is written anew: id, flags, the question's spelling, times to live, EDNS.
 */
export class ForwardedAnswer {
  readonly #bytes: Buffer;
  readonly #records: readonly ResourceRecord[];
  readonly #questionEnd: number;
  /** Seconds for which it may be believed; 0: not at all. */
  readonly ttl: number;

  /** Takes a message that answers one question. Throws RangeError when it is malformed. */
  constructor(message: Buffer) {
    if (message.readUInt16BE(4) !== 1) throw new RangeError('An answer to other than one question');
    this.#questionEnd = questionEnd(message);
    this.#records = recordsOf(message, this.#questionEnd);
    this.#bytes = Buffer.from(message.subarray(0, this.#records.at(-1)?.end ?? this.#questionEnd));
    this.ttl = timeToLive(message, this.#records);
  }

  get rcode(): number {
    return this.#bytes.readUInt16BE(2) & RCODE_MASK;
  }

  get truncated(): boolean {
    return (this.#bytes.readUInt16BE(2) & TRUNCATED) !== 0;
  }

  /** The message as it came, without EDNS. */
  get bytes(): Buffer {
    return this.#bytes;
  }

  /** What one asker gets: at most `limit` bytes, whole records of the answer as far as they fit. */
  render(to: {
    id: number;
    /** The question as it came. */
    question: Buffer;
    flags: number;
    ageSeconds: number;
    limit: number;
    edns: Buffer | undefined;
  }): Buffer {
    const room = to.limit - (to.edns ? OPT_BYTES : 0);
    const fits = this.#bytes.length <= room;
    const kept = fits
      ? this.#records
      : this.#records.filter(({ section, end }) => section === 1 && end <= room);
    const end = kept.at(-1)?.end ?? this.#questionEnd;
    const copy = Buffer.concat([this.#bytes.subarray(0, end), to.edns ?? Buffer.alloc(0)]);
    copy.writeUInt16BE(to.id, 0);
    copy.writeUInt16BE(to.flags | this.rcode | (fits ? 0 : TRUNCATED), 2);
    for (const section of [1, 2, 3] as const) {
      const count = kept.filter((record) => record.section === section).length;
      copy.writeUInt16BE(count + (section === 3 && to.edns ? 1 : 0), 4 + 2 * section);
    }
    // Askers may spell the same name differently, and want to see it so again.
    if (HEADER_BYTES + to.question.length === this.#questionEnd)
      to.question.copy(copy, HEADER_BYTES);
    for (const { ttlAt } of kept) {
      copy.writeUInt32BE(Math.max(0, this.#bytes.readUInt32BE(ttlAt) - to.ageSeconds), ttlAt);
    }
    return copy;
  }
}

/** All records but OPT, which as everybody sends it is the last of all; our own takes its place. */
function recordsOf(message: Buffer, start: number): ResourceRecord[] {
  const sections = ([1, 2, 3] as const).flatMap((section) =>
    Array<typeof section>(message.readUInt16BE(4 + 2 * section)).fill(section),
  );
  const records: ResourceRecord[] = [];
  let at = start;
  for (const [index, section] of sections.entries()) {
    const typeAt = skipName(message, at);
    const type = message.readUInt16BE(typeAt);
    const end = typeAt + 10 + message.readUInt16BE(typeAt + 8);
    if (end > message.length) throw new RangeError('A record ends behind its message');
    const record = { section, type, ttlAt: typeAt + 4, end };
    if (type !== TYPE_OPT) records.push(record);
    else checkOpt(message, record, index === sections.length - 1);
    at = end;
  }
  return records;
}

/** In place of a time to live OPT has the high bits of the response code: an error of EDNS itself. */
function checkOpt(message: Buffer, { section, ttlAt }: ResourceRecord, isLast: boolean): void {
  if (section !== 3 || !isLast) throw new RangeError('OPT is not the last record');
  if (message[ttlAt] !== 0) throw new RangeError('An extended error');
}

/** The shortest of an answer; of a denial, what its SOA says (RFC 2308). */
function timeToLive(message: Buffer, records: readonly ResourceRecord[]): number {
  const answers = records.filter(({ section }) => section === 1);
  if (answers.length > 0) return Math.min(...answers.map((r) => message.readUInt32BE(r.ttlAt)));
  const soa = records.find(({ section, type }) => section === 2 && type === TYPE_SOA);
  if (!soa) return 0;
  return Math.min(message.readUInt32BE(soa.ttlAt), message.readUInt32BE(soa.end - 4));
}

/** Where the one question of a message ends. */
export function questionEnd(message: Buffer): number {
  return skipName(message, HEADER_BYTES) + 4;
}

/** A pointer ends a name, as an empty label does. */
function skipName(message: Buffer, start: number): number {
  let at = start;
  for (;;) {
    const length = message.readUInt8(at);
    if (length === 0) return at + 1;
    if (length >= 0xc0) return at + 2;
    if (length > 63) throw new RangeError('A label of a kind that nobody uses');
    at += length + 1;
  }
}
