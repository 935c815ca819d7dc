import { createHash } from 'node:crypto';
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  statSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { IMAGES, type ImageDefinition } from './definitions.ts';
import { imageArchive } from './oci.ts';
import type { TarEntry } from './tar.ts';

/**
 * `node deploy/images/build.ts DIRECTORY [IMAGE...]` writes IMAGE.tar into a directory, for all images or those named.
 * An archive that is up to date is left alone, so that nothing is imported twice; IMAGE.inputs tells what it was made of.
 */
function main([folder, ...wanted]: string[]): void {
  if (folder === undefined)
    throw new Error('usage: node deploy/images/build.ts DIRECTORY [IMAGE...]');
  mkdirSync(folder, { recursive: true });
  for (const [file, image] of Object.entries(IMAGES)) {
    if (wanted.length > 0 && !wanted.includes(file)) continue;
    if (image.needs !== undefined && !existsSync(image.needs)) continue;
    const built = build(image, join(folder, file));
    process.stdout.write(`${image.name} ${built ? 'built' : 'is up to date'}\n`);
  }
}

/** Another number when archives are written in another form. */
const FORMAT = 2;

/** True when the archive had to be written. */
function build({ name, layers, config }: ImageDefinition, path: string): boolean {
  const entries = layers();
  const inputs = hash(
    JSON.stringify([FORMAT, name, config, entries.map((layer) => layer.map(inputOf))]),
  );
  const [archive, stamp] = [`${path}.tar`, `${path}.inputs`];
  const fresh = existsSync(archive) && existsSync(stamp) && readFileSync(stamp, 'utf8') === inputs;
  if (fresh) return false;
  writePieces(archive, imageArchive(name, entries, config));
  writePieces(stamp, [Buffer.from(inputs)]);
  return true;
}

/** What tells one version of an entry from another, without reading large files. */
function inputOf({ path, mode, link, content = [], from }: TarEntry): unknown {
  if (from) {
    const { size, mtimeMs } = statSync(from.file);
    return [path, mode, size, mtimeMs];
  }
  return [path, mode, link, hash(...(content instanceof Uint8Array ? [content] : content))];
}

function hash(...pieces: (string | Uint8Array)[]): string {
  const sum = createHash('sha256');
  for (const piece of pieces) sum.update(piece);
  return sum.digest('hex');
}

/** A new file in place of the old one, which may be linked from elsewhere. Others may be at the same work. */
function writePieces(path: string, pieces: readonly Uint8Array[]): void {
  const unfinished = `${path}.${process.pid}.new`;
  const file = openSync(unfinished, 'w');
  try {
    for (const piece of pieces) writeAll(file, piece);
  } finally {
    closeSync(file);
  }
  renameSync(unfinished, path);
}

function writeAll(file: number, piece: Uint8Array): void {
  for (let at = 0; at < piece.length; ) at += writeSync(file, piece, at);
}

main(process.argv.slice(2));
