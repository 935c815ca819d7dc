/**
 * How lmdb's records look. `log` maps a revision to what was written then; `heads` maps a key to the revision of
 * its newest log record. A value is stored once; older values are found along `previous`.
 */
export interface LogRecord {
  readonly key: string;
  /** Undefined: the key was removed. */
  readonly value: Buffer | undefined;
  /** The key's revision before this one; 0 when it did not exist. */
  readonly previous: number;
}

export interface Head {
  readonly revision: number;
  readonly removed: boolean;
}

const PUT = 0;
const REMOVE = 1;
const LOG_HEADER = 11;

// Layout: kind (1 byte), previous revision (8, double), key length (2), key, value.
export function encodeLog(record: LogRecord): Buffer {
  const keyLength = Buffer.byteLength(record.key);
  const buffer = Buffer.allocUnsafe(LOG_HEADER + keyLength + (record.value?.length ?? 0));
  buffer.writeUInt8(record.value ? PUT : REMOVE, 0);
  buffer.writeDoubleBE(record.previous, 1);
  buffer.writeUInt16BE(keyLength, 9);
  buffer.write(record.key, LOG_HEADER);
  record.value?.copy(buffer, LOG_HEADER + keyLength);
  return buffer;
}

/** The record's value shares memory with `buffer`. */
export function decodeLog(buffer: Buffer): LogRecord {
  const keyEnd = LOG_HEADER + buffer.readUInt16BE(9);
  return {
    key: buffer.toString('utf8', LOG_HEADER, keyEnd),
    value: buffer.readUInt8(0) === PUT ? buffer.subarray(keyEnd) : undefined,
    previous: buffer.readDoubleBE(1),
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
