const VARINT = 0;
const FIXED64 = 1;
const LENGTH = 2;

/** Writes one protocol buffer message, field by field (protobuf.dev/programming-guides/encoding). */
export class ProtobufWriter {
  readonly #parts: Buffer[] = [];

  varint(number: number, value: bigint): this {
    return this.#tag(number, VARINT).#push(varintBytes(BigInt.asUintN(64, value)));
  }

  bool(number: number, value: boolean): this {
    return this.varint(number, value ? 1n : 0n);
  }

  double(number: number, value: number): this {
    const bytes = Buffer.alloc(8);
    bytes.writeDoubleLE(value);
    return this.#tag(number, FIXED64).#push(bytes);
  }

  text(number: number, value: string): this {
    return this.bytes(number, Buffer.from(value));
  }

  /** Bytes, or a message within this one. */
  bytes(number: number, value: Buffer): this {
    return this.#tag(number, LENGTH)
      .#push(varintBytes(BigInt(value.length)))
      .#push(value);
  }

  finish(): Buffer {
    return Buffer.concat(this.#parts);
  }

  #tag(number: number, wire: number): this {
    return this.#push(varintBytes(BigInt(number * 8 + wire)));
  }

  #push(bytes: Buffer): this {
    this.#parts.push(bytes);
    return this;
  }
}

function varintBytes(value: bigint): Buffer {
  if (value < 0x80n) return Buffer.of(Number(value));
  const bytes: number[] = [];
  let left = value;
  for (; left >= 0x80n; left >>= 7n) bytes.push(Number(left & 0x7fn) | 0x80);
  bytes.push(Number(left));
  return Buffer.from(bytes);
}
