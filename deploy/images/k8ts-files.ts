import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { arch } from 'node:os';
import { join, relative, resolve } from 'node:path';
import { stripProgram } from './strip.ts';
import type { TarEntry } from './tar.ts';

const REPO = resolve(import.meta.dirname, '../..');
/** Where k8ts lies in its image, with the folders of the repository. */
const HOME = 'k8ts';
/** The library that the bundle leaves outside, since it holds a native module (scripts/build.ts). */
const OUTSIDE = 'lmdb';
/** Read by the bundle when it runs, relative to itself. */
const DATA = ['package.json', 'src/api/protobuf-fields.txt', 'generated', 'proto'];

/** The pinned Node.js and Debian's libraries that it needs. Changes seldom: a layer of its own. */
export function nodeFiles(): TarEntry[] {
  const node = join(REPO, `node_modules/node-linux-${arch()}/bin/node`);
  const change = (content: Buffer) => stripProgram(content);
  return [
    directory('tmp/', 0o1777),
    { path: 'usr/bin/node', mode: 0o755, from: { file: node, change } },
    ...librariesOf(node).map((file) => ({ path: file.slice(1), mode: 0o755, from: { file } })),
    text(
      'etc/passwd',
      'root:x:0:0:root:/:/sbin/nologin\nnobody:x:65534:65534:nobody:/:/sbin/nologin\n',
    ),
    text('etc/group', 'root:x:0:\nnogroup:x:65534:\n'),
  ];
}

/** k8ts as one bundle, and what it reads besides. The bundle is made anew where a source is newer. */
export function k8tsFiles(): TarEntry[] {
  makeBundle();
  const bundle = filesBelow('dist/lib').filter((file) => file.endsWith('.js'));
  const data = DATA.flatMap(filesBelow);
  const modules = modulesOf(OUTSIDE).flatMap((name) =>
    filesBelow(`node_modules/${name}`).filter(isLoadable),
  );
  return [...bundle, ...data, ...modules]
    .sort()
    .map((file) => ({ path: `${HOME}/${file}`, mode: 0o644, from: { file: join(REPO, file) } }));
}

/** The shared libraries of a program and the loader that joins them, as ldd(1) finds them. */
function librariesOf(program: string): string[] {
  const lines = execFileSync('ldd', [program], { encoding: 'utf8' }).split('\n');
  return lines.flatMap((line) => /(?:=> )?(\/\S+) \(0x/.exec(line)?.[1] ?? []);
}

/** The package and all that it needs, those for other machines left out. */
function modulesOf(name: string, seen = new Set<string>()): string[] {
  const manifest = join(REPO, 'node_modules', name, 'package.json');
  if (seen.has(name) || !existsSync(manifest)) return [];
  seen.add(name);
  const { dependencies = {}, optionalDependencies = {} } = JSON.parse(
    readFileSync(manifest, 'utf8'),
  ) as Record<string, Record<string, string>>;
  for (const needed of Object.keys({ ...dependencies, ...optionalDependencies })) {
    modulesOf(needed, seen);
  }
  return [...seen];
}

/** Code, not its sources, types or tests. */
function isLoadable(file: string): boolean {
  return (
    /([.]c?js|[.]node|[/]package[.]json)$/.test(file) && !/[/](test|dependencies)[/]/.test(file)
  );
}

/** The files in a folder of the repository, or the one file, relative to the repository. */
function filesBelow(path: string): string[] {
  const full = join(REPO, path);
  if (statSync(full).isFile()) return [path];
  return readdirSync(full, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(REPO, join(entry.parentPath, entry.name)));
}

function makeBundle(): void {
  const main = join(REPO, 'dist/lib/cli.js');
  const built = existsSync(main) ? statSync(main).mtimeMs : 0;
  const sources = [...filesBelow('src'), 'package-lock.json'];
  if (sources.some((file) => statSync(join(REPO, file)).mtimeMs > built)) {
    execFileSync(process.execPath, [join(REPO, 'scripts/build.ts')], { stdio: 'inherit' });
  }
}

function text(path: string, content: string): TarEntry {
  return { path, mode: 0o644, content: Buffer.from(content) };
}

function directory(path: string, mode = 0o755): TarEntry {
  return { path, mode };
}
