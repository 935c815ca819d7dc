import { existsSync, readdirSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { run } from '../host/exec.ts';
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

/** Imports those archives of the bundle directory that are new or have changed. Answers their names. */
export async function importBundles(paths: Paths, signal?: AbortSignal): Promise<string[]> {
  const folder = imageBundles(paths);
  if (!existsSync(folder)) return [];
  // Kept beside containerd's content, so that it is forgotten together with it.
  const memory = join(paths.containerd.root, 'imported-bundles.json');
  const known = JSON.parse(readIfExists(memory) ?? '{}') as Record<string, string>;
  const imported: string[] = [];
  for (const name of readdirSync(folder).filter((file) => file.endsWith('.tar'))) {
    const archive = join(folder, name);
    const { mtimeMs, size } = statSync(archive);
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

function ctr(paths: Paths, args: readonly string[], signal?: AbortSignal) {
  const address = ['--address', paths.containerd.socket, '--namespace', CRI_NAMESPACE];
  return run('ctr', [...address, ...PATIENCE, ...args], {}, signal);
}
