import { fitting } from '../util/exact-json.ts';

/** The bytes end in the middle of a value, or say what the wire format does not know. */
export class ProtobufError extends Error {
  override readonly name = 'ProtobufError';
}

/** A field as the wire shows it: its number, and how its value is written. */
export interface WireField {
  readonly number: number;
  readonly wire: number;
}

export const VARINT = 0;
export const FIXED64 = 1;
export const LENGTH = 2;
const FIXED32 = 5;

/** Walks a protocol buffer message (protobuf.dev/programming-guides/encoding). Every method moves forward. */
export class ProtobufReader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  get done(): boolean {
    return this.#at >= this.#bytes.length;
  }

  tag(): WireField {
    const tag = Number(this.varint());
    return { number: Math.floor(tag / 8), wire: tag % 8 };
  }

  /** An unsigned number of up to 64 bits. */
  varint(): bigint {
    let value = 0n;
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = this.#bytes[this.#at++];
      if (byte === undefined) throw new ProtobufError('unexpected EOF');
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return BigInt.asUintN(64, value);
    }
    throw new ProtobufError('a number of more than 64 bits');
  }

  /** A signed number: a bigint where a number would round it. */
  integer(): number | bigint {
    return fitting(BigInt.asIntN(64, this.varint())) ?? 0;
  }

  double(): number {
    return this.#take(8).readDoubleLE();
  }

  bytes(): Buffer {
    return this.#take(Number(this.varint()));
  }

  text(): string {
    return this.bytes().toString();
  }

  /** Passes over the value of a field that nobody knows. */
  skip(wire: number): void {
    if (wire === VARINT) this.varint();
    else if (wire === FIXED64) this.#take(8);
    else if (wire === LENGTH) this.bytes();
    else if (wire === FIXED32) this.#take(4);
    else throw new ProtobufError(`unknown wire type ${wire}`);
  }

  #take(count: number): Buffer {
    if (count > this.#bytes.length - this.#at) throw new ProtobufError('unexpected EOF');
    const taken = this.#bytes.subarray(this.#at, this.#at + count);
    this.#at += count;
    return taken;
  }
}

/** Reads a whole message by a table of its numbers; what the table lacks is passed over. */
export function readMessage(
  bytes: Buffer,
  handlers: Readonly<Record<number, (reader: ProtobufReader) => void>>,
): void {
  const reader = new ProtobufReader(bytes);
  while (!reader.done) {
    const { number, wire } = reader.tag();
    const handle = handlers[number];
    if (handle) handle(reader);
    else reader.skip(wire);
  }
}
