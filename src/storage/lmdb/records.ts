import { isIntact, seal, sealable, unseal } from './checksum.ts';

/**
 * How lmdb's records look. `log` maps a revision to what was written then; `heads` maps a key to the revision of
 * its newest log record. A value is stored once; older values are found along `previous`. All but the heads
 * carry a checksum; a head is right when the record that it names has its key.
 */
export interface LogRecord {
  readonly key: string;
  /** Undefined: the key was removed. */
  readonly value: Buffer | undefined;
  /** The key's revision before this one; 0 when it did not exist. */
  readonly previous: number;
  /** Milliseconds since the epoch when the key vanishes; 0: it does not. */
  readonly expires: number;
}

export interface Head {
  readonly revision: number;
  readonly removed: boolean;
}

/** A key that is to vanish, unless it was written again. */
export interface Expiry {
  readonly at: number;
  readonly revision: number;
  readonly key: string;
}

const PUT = 0;
const REMOVE = 1;
const LOG_HEADER = 27;

// Layout: checksum (4 bytes), kind (1), the record's own revision (8, double), previous revision (8), time to
// vanish (8), key length (2), key, value. Offsets below are behind the checksum.
export function encodeLog(revision: number, record: LogRecord): Buffer {
  const { key, value, previous, expires } = record;
  const keyLength = Buffer.byteLength(key);
  const { sealed, inside } = sealable(LOG_HEADER + keyLength + (value?.length ?? 0));
  inside.writeUInt8(value ? PUT : REMOVE, 0);
  inside.writeDoubleBE(revision, 1);
  inside.writeDoubleBE(previous, 9);
  inside.writeDoubleBE(expires, 17);
  inside.writeUInt16BE(keyLength, 25);
  inside.write(key, LOG_HEADER);
  if (value) inside.set(value, LOG_HEADER + keyLength);
  return seal(sealed);
}

/** The record's value shares memory with `sealed`. */
export function decodeLog(sealed: Buffer): LogRecord {
  const buffer = unseal(sealed);
  const keyEnd = LOG_HEADER + buffer.readUInt16BE(25);
  return {
    key: buffer.toString('utf8', LOG_HEADER, keyEnd),
    value: buffer.readUInt8(0) === PUT ? buffer.subarray(keyEnd) : undefined,
    previous: buffer.readDoubleBE(9),
    expires: buffer.readDoubleBE(17),
  };
}

export function encodeHead(head: Head): Buffer {
  const buffer = Buffer.allocUnsafe(9);
  buffer.writeDoubleBE(head.revision, 0);
  buffer.writeUInt8(head.removed ? REMOVE : PUT, 8);
  return buffer;
}

export function decodeHead(buffer: Buffer): Head {
  return { revision: buffer.readDoubleBE(0), removed: buffer.readUInt8(8) === REMOVE };
}

/** Facts and expiries: JSON with a checksum. */
export function encodeJson(value: unknown): Buffer {
  const json = JSON.stringify(value);
  const { sealed, inside } = sealable(Buffer.byteLength(json));
  inside.write(json);
  return seal(sealed);
}

export function decodeJson<T>(sealed: Buffer): T {
  return JSON.parse(unseal(sealed).toString()) as T;
}

/** False for a value whose checksum is wrong. */
export function isSound(table: string, value: Buffer): boolean {
  return table === 'heads' ? value.length === 9 : !SEALED.has(table) || isIntact(value);
}

const SEALED = new Set(['log', 'expiries', 'facts']);
