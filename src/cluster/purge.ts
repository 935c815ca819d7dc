import { lstatSync, readdirSync, readFileSync, readlinkSync, rmdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { run } from '../host/exec.ts';
import { errnoOf } from '../util/errors.ts';
import { BRIDGE } from './cni.ts';
import { CNI_BIN, foreignCni } from './containerd.ts';
import { readIfExists } from './files.ts';
import { removePodNetwork } from './network.ts';
import type { Paths } from './paths.ts';
import { podCgroups } from './pod-processes.ts';
import { removePodRoutes } from './pod-routes.ts';
import { removeUnit } from './unit.ts';

// libcni remembers its results here, for every network of the machine.
const CNI_STATE = '/var/lib/cni';
const CNI_RESULTS = join(CNI_STATE, 'results');

/**
 * Removes what the cluster left in the kernel and on disk. Everything must have been stopped before. Done again,
 * or after half a cluster, it removes what there is.
 */
export async function purge(paths: Paths): Promise<void> {
  await removeUnit(paths);
  await unmountBelow([paths.run, paths.state]);
  await run('ip', ['link', 'delete', BRIDGE], { acceptExitCodes: [0, 1] });
  await removePodNetwork();
  await removePodRoutes();
  await removeHostPortChains();
  for (const group of podCgroups(paths)) removeIfThere(() => rmdirSync(group));
  removeCniResults(paths);
  removeContainerLogLinks(paths);
  removePluginLinks(paths);
  for (const path of [paths.config, paths.state, paths.run, paths.logs, paths.podLogs]) {
    rmSync(path, { recursive: true, force: true });
  }
}

/** What libcni remembers of our sandboxes, known by where their network namespaces were. */
function removeCniResults({ containerd }: Paths): void {
  for (const name of namesIn(CNI_RESULTS)) {
    const file = join(CNI_RESULTS, name);
    if ((readIfExists(file) ?? '').includes(`"${containerd.state}/`)) rmSync(file, { force: true });
  }
  for (const directory of [CNI_RESULTS, CNI_STATE]) removeIfEmpty(directory);
}

/** The kubelet's links to logs of containers. The directory is everybody's: others' links stay, and so does it. */
function removeContainerLogLinks({ containerLogs, podLogs }: Paths): void {
  for (const name of namesIn(containerLogs)) {
    const link = join(containerLogs, name);
    if (readlinkSync(link).startsWith(`${podLogs}/`)) rmSync(link);
  }
  removeIfEmpty(containerLogs);
}

/** The links to the usual plugins among those of a network of the operator's, whose own files stay. */
function removePluginLinks(paths: Paths): void {
  const { configuration, programs } = foreignCni(paths);
  for (const name of namesIn(programs)) {
    const link = join(programs, name);
    const isOurs = lstatSync(link).isSymbolicLink() && readlinkSync(link) === join(CNI_BIN, name);
    if (isOurs) rmSync(link);
  }
  for (const directory of [programs, configuration]) removeIfEmpty(directory);
}

/** Unmounts everything below these directories, the innermost first. */
async function unmountBelow(directories: readonly string[]): Promise<void> {
  const points = mountPoints(readFileSync('/proc/self/mountinfo', 'utf8')).filter((point) =>
    directories.some((directory) => point.startsWith(`${directory}/`)),
  );
  for (const point of points.reverse()) await run('umount', ['--lazy', point]);
}

/** The mount points of /proc/self/mountinfo, in the order of mounting. Its octal escapes are undone. */
export function mountPoints(mountinfo: string): string[] {
  return mountinfo
    .split('\n')
    .filter(Boolean)
    .map((line) => line.split(' ')[4] ?? '')
    .map((path) =>
      path.replace(/\\([0-7]{3})/g, (_, octal) => String.fromCharCode(Number.parseInt(octal, 8))),
    );
}

/** The chains of the portmap plugin. Where another network of the machine uses it too, they stay. */
async function removeHostPortChains(): Promise<void> {
  const { stdout } = await run('iptables-save', ['-t', 'nat'], { acceptExitCodes: [0, 1] });
  const rules = hostPortRemoval(stdout);
  if (rules !== undefined)
    await run('iptables-restore', ['-w', '10', '--noflush'], { input: rules });
}

/** Turns what iptables-save says into the commands that remove portmap's chains. Pure. */
export function hostPortRemoval(saved: string): string | undefined {
  const lines = saved.split('\n');
  const chains = lines
    .map((line) => /^:(CNI-(?:HOSTPORT|DN|SN)-?\S*) /.exec(line)?.[1])
    .filter((chain) => chain !== undefined);
  const inUse = lines.some((line) => /^-A CNI-HOSTPORT-DNAT .* -j CNI-DN-/.test(line));
  if (chains.length === 0 || inUse) return undefined;
  const jumps = lines.filter((line) => /^-A (PREROUTING|OUTPUT|POSTROUTING) .*-j CNI-/.test(line));
  return [
    '*nat',
    ...jumps.map((line) => line.replace(/^-A/, '-D')),
    ...chains.map((chain) => `-F ${chain}`),
    ...chains.map((chain) => `-X ${chain}`),
    'COMMIT',
    '',
  ].join('\n');
}

function namesIn(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch (err) {
    if (errnoOf(err) === 'ENOENT') return [];
    throw err;
  }
}

/** A directory that others use, too: they may put something there at any moment. */
function removeIfEmpty(directory: string): void {
  try {
    rmdirSync(directory);
  } catch (err) {
    if (!['ENOENT', 'ENOTEMPTY'].includes(errnoOf(err) ?? '')) throw err;
  }
}

function removeIfThere(remove: () => void): void {
  try {
    remove();
  } catch (err) {
    if (errnoOf(err) !== 'ENOENT') throw err;
  }
}
