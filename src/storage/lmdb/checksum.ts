import { crc32 } from 'node:zlib';

const LENGTH = 4;

/** Room for `length` bytes to be written `inside`, and for the checksum in front of them. */
export function sealable(length: number): { sealed: Buffer; inside: Buffer } {
  const sealed = Buffer.allocUnsafe(LENGTH + length);
  return { sealed, inside: unseal(sealed) };
}

/** Writes the checksum of what is inside. */
export function seal(sealed: Buffer): Buffer {
  sealed.writeUInt32LE(crc32(unseal(sealed)), 0);
  return sealed;
}

export function isIntact(sealed: Buffer): boolean {
  return sealed.length >= LENGTH && sealed.readUInt32LE(0) === crc32(sealed.subarray(LENGTH));
}

/** What was sealed. It shares memory with `sealed`. */
export function unseal(sealed: Buffer): Buffer {
  return sealed.subarray(LENGTH);
}
