import type { Answer, SoaData } from './records.ts';

const CLASS_IN = 1;
const POINTER = 0xc000;
/** Pointers hold 14 bits. */
const MAX_POINTER = 0x3fff;
const TYPES = { A: 1, CNAME: 5, SOA: 6, PTR: 12, TXT: 16, AAAA: 28, SRV: 33 } as const;
const OPT = 41;
const HEADER_BYTES = 12;
/** An OPT record without options. */
export const OPT_BYTES = 11;

/** A name in wire format, uncompressed. The name must be one that was read from the wire, or the API's. */
export function encodeName(name: string): Buffer {
  const labels = name === '' || name === '.' ? [] : name.replace(/\.$/, '').split('.');
  const parts = labels.flatMap((label) => {
    const bytes = Buffer.from(label, 'latin1');
    return [Buffer.from([bytes.length]), bytes];
  });
  return Buffer.concat([...parts, Buffer.alloc(1)]);
}

/**
 * Writes a message record by record, repeated names as pointers to the first (RFC 1035 section 4.1.4): more addresses
 * fit into a datagram. What does not fit is not written.
 */
export class MessageWriter {
  readonly #bytes: Buffer;
  readonly #names = new Map<string, number>();
  #at = HEADER_BYTES;

  /** `limit`: bytes of the whole message at most. */
  constructor(limit: number) {
    this.#bytes = Buffer.allocUnsafe(limit);
    this.#bytes.fill(0, 0, HEADER_BYTES);
  }

  header({ id, flags, counts }: { id: number; flags: number; counts: readonly number[] }): void {
    this.#bytes.writeUInt16BE(id, 0);
    this.#bytes.writeUInt16BE(flags, 2);
    for (const [index, count] of counts.entries()) this.#bytes.writeUInt16BE(count, 4 + 2 * index);
  }

  /** The question as it came, so that even its spelling is the same; later names may point into it. */
  question(bytes: Buffer): boolean {
    return this.#whole(() => {
      const start = this.#at;
      this.#copy(bytes);
      const labels: { text: string; at: number }[] = [];
      for (let at = 0; (bytes[at] ?? 0) > 0; at += (bytes[at] ?? 0) + 1) {
        const text = bytes.toString('latin1', at + 1, at + 1 + (bytes[at] ?? 0));
        labels.push({ text, at: start + at });
      }
      for (const [index, { at }] of labels.entries()) {
        const rest = labels.slice(index).map(({ text }) => text);
        this.#names.set(rest.join('.').toLowerCase(), at);
      }
    });
  }

  /** False when there is no room for the record; nothing of it is written then. */
  record(answer: Answer, ttl: number): boolean {
    return this.#whole(() => {
      this.#name(answer.name);
      this.#uint16(TYPES[answer.type]);
      this.#uint16(CLASS_IN);
      this.#uint32(ttl);
      const length = this.#at;
      this.#uint16(0);
      this.#data(answer);
      this.#bytes.writeUInt16BE(this.#at - length - 2, length);
    });
  }

  /** The OPT pseudo-record (RFC 6891), which says how large a datagram may be that we are sent. */
  edns(udpPayloadSize: number): boolean {
    return this.#whole(() => {
      this.#uint8(0);
      this.#uint16(OPT);
      this.#uint16(udpPayloadSize);
      this.#uint32(0);
      this.#uint16(0);
    });
  }

  finish(): Buffer {
    return this.#bytes.subarray(0, this.#at);
  }

  #whole(write: () => void): boolean {
    const start = this.#at;
    try {
      write();
      return true;
    } catch (err) {
      if (!(err instanceof RangeError)) throw err;
      this.#at = start;
      for (const [name, at] of this.#names) if (at >= start) this.#names.delete(name);
      return false;
    }
  }

  #data(answer: Answer): void {
    switch (answer.type) {
      case 'A':
        for (const part of answer.data.split('.')) this.#uint8(Number(part));
        return;
      case 'AAAA':
        for (const group of answer.data.split(':')) this.#uint16(Number.parseInt(group, 16));
        return;
      case 'CNAME':
      case 'PTR':
        this.#name(answer.data);
        return;
      case 'TXT':
        this.#text(answer.data);
        return;
      case 'SRV':
        this.#uint16(answer.data.priority);
        this.#uint16(answer.data.weight);
        this.#uint16(answer.data.port);
        this.#copy(encodeName(answer.data.target)); // Never compressed: RFC 2782.
        return;
      case 'SOA':
        this.#soa(answer.data);
    }
  }

  #soa({ mname, rname, serial, refresh, retry, expire, minimum }: SoaData): void {
    this.#name(mname);
    this.#name(rname);
    for (const number of [serial, refresh, retry, expire, minimum]) this.#uint32(number);
  }

  #text(text: string): void {
    this.#uint8(text.length);
    this.#copy(Buffer.from(text, 'latin1'));
  }

  #name(name: string): void {
    let rest = name.replace(/\.$/, '');
    while (rest !== '') {
      // Case is kept in the question, and names are equal without it: any spelling may be pointed at.
      const key = rest.toLowerCase();
      const known = this.#names.get(key);
      if (known !== undefined) {
        this.#uint16(POINTER | known);
        return;
      }
      if (this.#at <= MAX_POINTER) this.#names.set(key, this.#at);
      const dot = rest.indexOf('.');
      this.#text(dot < 0 ? rest : rest.slice(0, dot));
      rest = dot < 0 ? '' : rest.slice(dot + 1);
    }
    this.#uint8(0);
  }

  #copy(bytes: Buffer): void {
    if (this.#at + bytes.length > this.#bytes.length) throw new RangeError('The message is full');
    this.#at += bytes.copy(this.#bytes, this.#at);
  }

  #uint8(value: number): void {
    this.#at = this.#bytes.writeUInt8(value, this.#at);
  }

  #uint16(value: number): void {
    this.#at = this.#bytes.writeUInt16BE(value, this.#at);
  }

  #uint32(value: number): void {
    this.#at = this.#bytes.writeUInt32BE(value, this.#at);
  }
}
