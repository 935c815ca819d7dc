// Offsets in the header of a 64-bit little-endian ELF file, and in one of its program headers (elf(5)).
const PROGRAM_HEADERS_AT = 32;
const SECTION_HEADERS_AT = 40;
const PROGRAM_HEADER_SIZE_AT = 54;
const PROGRAM_HEADER_COUNT_AT = 56;
const SECTION_HEADER_COUNT_AT = 60;
const SECTION_NAMES_AT = 62;
const SEGMENT_OFFSET_AT = 8;
const SEGMENT_SIZE_AT = 32;

/**
 * A program without what only debuggers read: the symbol table and the section headers, which stand behind everything
 * that is loaded. Does what sstrip(1) does; a fifth of Node.js goes. The argument is not changed.
 */
export function stripProgram(elf: Buffer): Buffer {
  const count = elf.readUInt16LE(PROGRAM_HEADER_COUNT_AT);
  const size = elf.readUInt16LE(PROGRAM_HEADER_SIZE_AT);
  const first = Number(elf.readBigUInt64LE(PROGRAM_HEADERS_AT));
  const ends = Array.from({ length: count }, (_, index) => {
    const at = first + index * size;
    const offset = elf.readBigUInt64LE(at + SEGMENT_OFFSET_AT);
    return Number(offset + elf.readBigUInt64LE(at + SEGMENT_SIZE_AT));
  });
  const stripped = Buffer.from(elf.subarray(0, Math.max(first + count * size, ...ends)));
  stripped.writeBigUInt64LE(0n, SECTION_HEADERS_AT);
  stripped.writeUInt16LE(0, SECTION_HEADER_COUNT_AT);
  stripped.writeUInt16LE(0, SECTION_NAMES_AT);
  return stripped;
}
