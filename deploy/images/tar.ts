/** One entry of a tar archive. Times and owners are always zero, so that equal content makes equal bytes. */
export interface TarEntry {
  /** Without a leading slash. */
  readonly path: string;
  readonly mode: number;
  readonly content?: Uint8Array;
  /** Target of a symbolic link. */
  readonly link?: string;
}

const BLOCK = 512;

/** A POSIX ustar archive (POSIX.1-1988) of files, symbolic links, and directories (entries that end in a slash). */
export function tar(entries: readonly TarEntry[]): Buffer {
  const blocks: Uint8Array[] = [];
  for (const entry of entries) {
    const content = entry.content ?? new Uint8Array();
    blocks.push(header(entry, content.length), content);
    const rest = content.length % BLOCK;
    if (rest > 0) blocks.push(new Uint8Array(BLOCK - rest));
  }
  blocks.push(new Uint8Array(2 * BLOCK));
  return Buffer.concat(blocks);
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
