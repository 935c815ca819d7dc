import { readFileSync } from 'node:fs';

/** One entry of a tar archive. Times and owners are always zero, so that equal content makes equal bytes. */
export interface TarEntry {
  /** Without a leading slash. */
  readonly path: string;
  readonly mode: number;
  /** In one piece or several. */
  readonly content?: Uint8Array | readonly Uint8Array[];
  /** In place of `content`: a file that is read when the archive is made, and what is then done to it. */
  readonly from?: { readonly file: string; readonly change?: (content: Buffer) => Uint8Array };
  /** Target of a symbolic link. */
  readonly link?: string;
}

const BLOCK = 512;

/**
 * A POSIX ustar archive (POSIX.1-1988) of files, symbolic links, and directories (entries that end in a slash). In
 * pieces: large files are not copied.
 */
export function tar(entries: readonly TarEntry[]): Uint8Array[] {
  const pieces: Uint8Array[] = [];
  for (const entry of entries) {
    const content = contentOf(entry);
    const size = sizeOf(content);
    pieces.push(header(entry, size), ...content);
    const rest = size % BLOCK;
    if (rest > 0) pieces.push(new Uint8Array(BLOCK - rest));
  }
  pieces.push(new Uint8Array(2 * BLOCK));
  return pieces;
}

/** The bytes of all pieces together. */
export function sizeOf(pieces: readonly Uint8Array[]): number {
  return pieces.reduce((sum, { length }) => sum + length, 0);
}

function contentOf({ content = [], from }: TarEntry): readonly Uint8Array[] {
  if (from) {
    const text = readFileSync(from.file);
    return [from.change?.(text) ?? text];
  }
  return content instanceof Uint8Array ? [content] : content;
}

function header(entry: TarEntry, size: number): Buffer {
  const block = Buffer.alloc(BLOCK);
  const { prefix, name } = splitPath(entry.path);
  block.write(name, 0);
  block.write(octal(entry.mode, 7), 100);
  block.write(octal(0, 7), 108); // user
  block.write(octal(0, 7), 116); // group
  block.write(octal(size, 11), 124);
  block.write(octal(0, 11), 136); // time
  block.write(' '.repeat(8), 148); // the checksum counts itself as spaces
  block.write(typeOf(entry), 156);
  block.write(entry.link ?? '', 157);
  block.write('ustar\0' + '00', 257);
  block.write(prefix, 345);
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${octal(sum, 6)}\0 `, 148);
  return block;
}

function typeOf(entry: TarEntry): '0' | '2' | '5' {
  if (entry.link !== undefined) return '2';
  return entry.path.endsWith('/') ? '5' : '0';
}

/** Names over 100 bytes keep their first directories in a field of their own. */
function splitPath(path: string): { prefix: string; name: string } {
  if (Buffer.byteLength(path) <= 100) return { prefix: '', name: path };
  for (let at = path.indexOf('/'); at > 0; at = path.indexOf('/', at + 1)) {
    const [prefix, name] = [path.slice(0, at), path.slice(at + 1)];
    if (Buffer.byteLength(name) <= 100 && Buffer.byteLength(prefix) <= 155) return { prefix, name };
  }
  throw new Error(`The path is too long for a tar archive: ${path}`);
}

function octal(value: number, digits: number): string {
  return value.toString(8).padStart(digits, '0');
}
