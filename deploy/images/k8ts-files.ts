import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, realpathSync, statSync } from 'node:fs';
import { arch } from 'node:os';
import { basename, dirname, join, relative, resolve } from 'node:path';
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
  const node = nodeProgram();
  const change = (content: Buffer) => stripProgram(content);
  return [
    directory('tmp/', 0o1777),
    { path: 'usr/bin/node', mode: 0o755, from: { file: node, change } },
    ...nodeLibraries().map(executable),
    text(
      'etc/passwd',
      'root:x:0:0:root:/:/sbin/nologin\nnobody:x:65534:65534:nobody:/:/sbin/nologin\n',
    ),
    text('etc/group', 'root:x:0:\nnogroup:x:65534:\n'),
  ];
}

function nodeProgram(): string {
  return join(REPO, `node_modules/node-linux-${arch()}/bin/node`);
}

function nodeLibraries(): string[] {
  return librariesOf(nodeProgram());
}

/** To the same place in the image. */
function executable(file: string): TarEntry {
  return { path: file.slice(1), mode: 0o755, from: { file } };
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

/** What the proxy makes the kernel's rules with. Those that the machine lacks are left out: no cluster of its can use them. */
const NETWORK_TOOLS = ['conntrack', 'ip', 'ip6tables', 'ipset', 'iptables', 'ipvsadm', 'nft'];
const TABLE_VERBS = ['', '-save', '-restore'];
const XTABLES = 'xtables';

/** Debian's network tools with their libraries, which include the matches and targets that iptables loads by name. */
export function networkTools(): TarEntry[] {
  const names = NETWORK_TOOLS.flatMap((name) =>
    name.endsWith('tables') ? TABLE_VERBS.map((verb) => name + verb) : [name],
  );
  const found = names.flatMap((name) => {
    const path = ['/usr/sbin', '/usr/bin', '/sbin', '/bin']
      .map((folder) => join(folder, name))
      .find(existsSync);
    return path === undefined ? [] : [{ name, file: realpathSync(path) }];
  });
  const programs = [...new Set(found.map(({ file }) => file))];
  const extensions = extensionsOf(programs);
  const tables = found.find(({ name }) => name === 'iptables');
  const loaded = tables === undefined ? [] : librariesBeside(tables.file, extensions);
  const libraries = new Set([...librariesOf(...programs), ...loaded]);
  for (const file of nodeLibraries()) libraries.delete(file);
  return [
    ...[...programs, ...libraries, ...extensions].sort().map(executable),
    // Several names for one program: it does what it is called.
    ...found
      .filter(({ name, file }) => basename(file) !== name)
      .map(({ name, file }) => ({ path: `usr/sbin/${name}`, mode: 0o777, link: file })),
    text('etc/protocols', readFileSync('/etc/protocols', 'utf8')),
  ];
}

/** iptables keeps them in one folder beside its library. */
function extensionsOf(programs: readonly string[]): string[] {
  const library = librariesOf(...programs).find((file) => file.includes('/libxtables.'));
  // Where /lib is a link to /usr/lib, iptables still knows them by the longer path.
  const folders = library === undefined ? [] : [join('/usr', dirname(library)), dirname(library)];
  const folder = folders.map((path) => join(path, XTABLES)).find(existsSync);
  if (folder === undefined) return [];
  return readdirSync(folder).map((name) => join(folder, name));
}

/** Upstream's names of the components, so that manifests for upstream's images start ours. */
export function componentFiles(): TarEntry[] {
  return ['apiserver', 'controller-manager', 'scheduler', 'proxy'].map((name) => ({
    path: `usr/bin/kube-${name}`,
    mode: 0o755,
    content: Buffer.from(
      [
        '#!/usr/bin/node --disable-warning=ExperimentalWarning',
        `process.argv.splice(2, 0, '${name}');`,
        `import('/${HOME}/dist/lib/cli.js');`,
        '',
      ].join('\n'),
    ),
  }));
}

/** The shared libraries of programs and the loader that joins them, as ldd(1) finds them. */
export function librariesOf(...programs: string[]): string[] {
  return librariesIn(execFileSync('ldd', programs, { encoding: 'utf8' }));
}

/** Those of modules, which a program loads by name. All at once, as ld.so(8) lists them: ldd starts two processes for each. */
function librariesBeside(program: string, modules: readonly string[]): string[] {
  const env = { LD_TRACE_LOADED_OBJECTS: '1', LD_PRELOAD: modules.join(':') };
  const found = librariesIn(execFileSync(program, { env, encoding: 'utf8' }));
  return found.filter((file) => !modules.includes(file));
}

function librariesIn(listed: string): string[] {
  const lines = listed.split('\n');
  const found = lines.flatMap((line) => /(?:=> )?(\/\S+) \(0x/.exec(line)?.[1] ?? []);
  return [...new Set(found)];
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
