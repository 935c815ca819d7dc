import { copyFileSync, existsSync, mkdirSync, readdirSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { run } from '../host/exec.ts';
import { realClock } from '../util/clock.ts';
import { errorMessage } from '../util/errors.ts';
import { readIfExists, writeWhole } from './files.ts';
import type { Paths } from './paths.ts';

/** An image in the cluster's containerd. */
export interface ImageLine {
  readonly name: string;
  readonly digest: string;
  readonly size: string;
}

// On a busy machine containerd may take longer to start than the ten seconds that ctr waits by itself.
const PATIENCE = ['--connect-timeout', '60s'];

const START_MS = 60_000;
const RETRY_MS = 200;

// The namespace in which containerd keeps what CRI sees.
const CRI_NAMESPACE = 'k8s.io';

/** Archives in this directory (Docker's or OCI's form) are imported whenever the cluster starts. */
export function imageBundles(paths: Paths): string {
  return join(paths.state, 'images');
}

/** Puts an image archive into the cluster's containerd. Answers what the import said: a line per image. */
export async function importImage(
  paths: Paths,
  archive: string,
  signal?: AbortSignal,
): Promise<string[]> {
  const { stdout } = await ctr(paths, ['images', 'import', archive], signal);
  return stdout.trim().split('\n');
}

/**
 * Imports those archives of the bundle directory that are new or have changed. Answers their names. Small ones come
 * first: without the pause image no Pod can start, and it is the smallest.
 */
export async function importBundles(paths: Paths, signal?: AbortSignal): Promise<string[]> {
  const folder = imageBundles(paths);
  if (!existsSync(folder)) return [];
  // Kept beside containerd's content, so that it is forgotten together with it.
  const memory = join(paths.containerd.root, 'imported-bundles.json');
  const known = JSON.parse(readIfExists(memory) ?? '{}') as Record<string, string>;
  const imported: string[] = [];
  const archives = readdirSync(folder)
    .filter((name) => name.endsWith('.tar'))
    .map((name) => ({ name, archive: join(folder, name), ...statSync(join(folder, name)) }))
    .sort((a, b) => a.size - b.size);
  for (const { name, archive, mtimeMs, size } of archives) {
    const version = `${mtimeMs}-${size}`;
    if (known[name] === version) continue;
    await importImage(paths, archive, signal);
    known[name] = version;
    imported.push(basename(name, '.tar'));
    writeWhole(memory, JSON.stringify(known));
  }
  return imported;
}

/** What the cluster's containerd holds, by name. */
export async function listImages(paths: Paths, signal?: AbortSignal): Promise<ImageLine[]> {
  const { stdout } = await ctr(paths, ['images', 'list'], signal);
  return parseImageList(stdout);
}

/** Writes images with all they need into one archive, which `import` and `load` read. */
export async function saveImages(
  paths: Paths,
  archive: string,
  names: readonly string[],
  signal?: AbortSignal,
): Promise<void> {
  await ctr(paths, ['images', 'export', archive, ...names], signal);
}

/** Imports an archive now and whenever the cluster's store is made anew. Answers what the import said. */
export async function loadBundle(
  paths: Paths,
  archive: string,
  signal?: AbortSignal,
): Promise<string[]> {
  const lines = await importImage(paths, archive, signal);
  const folder = imageBundles(paths);
  mkdirSync(folder, { recursive: true });
  copyFileSync(archive, join(folder, basename(archive)));
  return lines;
}

/** Removes the images that no container uses. Those that came with k8ts stay. Answers their names. */
export async function pruneImages(paths: Paths, signal?: AbortSignal): Promise<string[]> {
  const images = await listImages(paths, signal);
  const { stdout } = await ctr(paths, ['containers', 'list'], signal);
  const names = unusedImages(images, parseContainerImages(stdout));
  if (names.length > 0) await ctr(paths, ['images', 'remove', '--sync', ...names], signal);
  return names;
}

/** What names of images of k8ts itself begin with: the sandbox's, the addons', the tests'. They can be had from nowhere else. */
export const BUILT_IN = 'localhost/k8ts/';

/** Every name of each image of which no name is in use. Pure. */
export function unusedImages(images: readonly ImageLine[], used: ReadonlySet<string>): string[] {
  const kept = images.filter(({ name }) => used.has(name) || name.startsWith(BUILT_IN));
  const digests = new Set(kept.map(({ digest }) => digest));
  return images.filter(({ digest }) => !digests.has(digest)).map(({ name }) => name);
}

/** Reads the table of `ctr containers list`: CONTAINER IMAGE RUNTIME. */
export function parseContainerImages(table: string): Set<string> {
  const lines = table.trim().split('\n').slice(1);
  return new Set(lines.map((line) => line.split(/\s+/)[1] ?? ''));
}

/** Reads the table of `ctr images list`: REF TYPE DIGEST SIZE (two words) PLATFORMS LABELS. */
export function parseImageList(table: string): ImageLine[] {
  return table
    .trim()
    .split('\n')
    .slice(1)
    .map((line) => line.split(/\s+/))
    .map(([name = '', , digest = '', amount = '', unit = '']) => ({
      name,
      digest,
      size: `${amount} ${unit}`,
    }));
}

async function ctr(paths: Paths, args: readonly string[], signal?: AbortSignal) {
  const address = ['--address', paths.containerd.socket, '--namespace', CRI_NAMESPACE];
  const deadline = realClock.now() + START_MS;
  for (;;) {
    try {
      return await run('ctr', [...address, ...PATIENCE, ...args], {}, signal);
    } catch (err) {
      // It waits for the socket's file, but not for somebody who listens there.
      if (!/failed to dial/.test(errorMessage(err)) || realClock.now() > deadline) throw err;
      await realClock.sleep(RETRY_MS, signal);
    }
  }
}
