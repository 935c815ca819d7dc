import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { IMAGES } from './definitions.ts';
import { imageArchive } from './oci.ts';

/**
 * `node deploy/images/build.ts DIRECTORY [IMAGE...]` writes IMAGE.tar into a directory, for all images or those named.
 * An archive that is up to date is left alone, so that nothing is imported twice.
 */
function main([folder, ...wanted]: string[]): void {
  if (folder === undefined)
    throw new Error('usage: node deploy/images/build.ts DIRECTORY [IMAGE...]');
  mkdirSync(folder, { recursive: true });
  for (const [file, image] of Object.entries(IMAGES)) {
    if (wanted.length > 0 && !wanted.includes(file)) continue;
    const path = join(folder, `${file}.tar`);
    const archive = imageArchive(image.name, image.files(), image.config);
    const fresh = existsSync(path) && readFileSync(path).equals(archive);
    if (!fresh) writeFileSync(path, archive);
    process.stdout.write(`${image.name} ${fresh ? 'is up to date' : 'built'}\n`);
  }
}

main(process.argv.slice(2));
