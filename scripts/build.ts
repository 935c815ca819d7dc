import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { rolldown } from 'rolldown';

/**
 * `npm run build`: the command line as a few JavaScript files, which start faster and take less memory than the many of
 * src/ (docs/adr/0001). bin/k8ts takes them as long as nothing in src/ is newer, so development needs no build.
 */
const REPO = join(import.meta.dirname, '..');
// Two levels deep, as files of src/FOLDER are: paths relative to a module mean the same there.
const OUTPUT = join(REPO, 'dist/lib');

rmSync(OUTPUT, { recursive: true, force: true });
const bundle = await rolldown({
  input: join(REPO, 'src/cli/cli.ts'),
  platform: 'node',
  // These hold native modules, which they find by their own place on disk.
  external: ['lmdb', 'dockerode'],
});
await bundle.write({ dir: OUTPUT, format: 'esm', sourcemap: true, minify: false });
await bundle.close();
