import { crc32 } from 'node:zlib';

const LENGTH = 4;

/** Puts a checksum in front of what `parts` say one after another. */
export function seal(...parts: readonly Uint8Array[]): Buffer {
  const sealed = Buffer.concat([Buffer.alloc(LENGTH), ...parts]);
  sealed.writeUInt32LE(crc32(sealed.subarray(LENGTH)), 0);
  return sealed;
}

export function isIntact(sealed: Buffer): boolean {
  return sealed.length >= LENGTH && sealed.readUInt32LE(0) === crc32(sealed.subarray(LENGTH));
}

/** What was sealed. It shares memory with `sealed`. */
export function unseal(sealed: Buffer): Buffer {
  return sealed.subarray(LENGTH);
}
