import { type ChildProcess, execFile } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { eventually } from './answers.ts';
import type { NetworkWorld } from './network-world.ts';

const START_MS = 60_000;
const execute = promisify(execFile);
const CACHE = join(import.meta.dirname, '../../../node_modules/.cache/firewalld');
/** Not installed: that would put the whole machine behind them. */
const PACKAGES = ['firewalld', 'python3-firewall', 'python3-nftables'];

/** Another program on the node that writes rules. */
export interface Neighbour {
  /** Its own command, on the node. */
  run(...args: string[]): Promise<string>;
  stop(): Promise<void>;
}

const BUS = (socket: string) => `<busconfig>
<type>system</type><listen>unix:path=${socket}</listen><auth>EXTERNAL</auth>
<policy context="default">
<allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/><allow own="*"/>
</policy>
</busconfig>`;

/** firewalld with its default zone, on a message bus of its own. */
export async function startFirewalld(world: NetworkWorld): Promise<Neighbour> {
  const root = await unpacked();
  const work = await mkdtemp(join(tmpdir(), 'k8ts-firewalld-'));
  const [socket, configuration] = [join(work, 'bus'), join(work, 'bus.conf')];
  await writeFile(configuration, BUS(socket));
  const bus = world.spawn('node', 'dbus-daemon', `--config-file=${configuration}`, '--nofork');
  const python = [
    'env',
    `DBUS_SYSTEM_BUS_ADDRESS=unix:path=${socket}`,
    `PYTHONPATH=${join(root, 'usr/lib/python3/dist-packages')}`,
    '/usr/bin/python3',
  ];
  const run = (...args: string[]) =>
    world.onNode(...python, join(root, 'usr/bin/firewall-cmd'), ...args);
  const where = ['--default-config', join(root, 'usr/lib/firewalld'), '--system-config', work];
  await eventually(async () => void (await execute('test', ['-S', socket])));
  const options = ['--nofork', '--nopid', ...where, '--log-file', join(work, 'log')];
  const daemon = world.spawn('node', ...python, join(root, 'usr/sbin/firewalld'), ...options);
  return await whenItAnswers(() => run('--state'), { run, work, children: [daemon, bus] });
}

/** Docker Engine with its rules and its bridge. */
export async function startDockerEngine(world: NetworkWorld): Promise<Neighbour> {
  const work = await mkdtemp(join(tmpdir(), 'k8ts-dockerd-'));
  const at = (name: string) => join(work, name);
  const host = `unix://${at('docker.sock')}`;
  // Docker forbids what it does not know only where it was the one to switch forwarding on.
  await world.onNode('sh', '-c', 'echo 0 >/proc/sys/net/ipv4/ip_forward');
  const daemon = world.spawn(
    'node',
    ...['dockerd', '--data-root', at('data'), '--exec-root', at('exec'), '--pidfile', at('pid')],
    ...['--host', host, '--oom-score-adjust', '0'],
  );
  const run = (...args: string[]) => world.onNode('docker', '--host', host, ...args);
  return await whenItAnswers(() => run('version'), { run, work, children: [daemon] });
}

/** Nothing of it is left where it does not. */
async function whenItAnswers(
  ask: () => Promise<string>,
  { run, work, children }: Pick<Neighbour, 'run'> & { work: string; children: ChildProcess[] },
): Promise<Neighbour> {
  const stop = async () => {
    await ended(...children);
    await rm(work, { recursive: true, force: true });
  };
  try {
    await eventually(async () => void (await ask()), START_MS);
  } catch (err) {
    await stop();
    throw err;
  }
  return { run, stop };
}

async function ended(...children: ChildProcess[]): Promise<void> {
  for (const child of children) {
    if (child.exitCode !== null || child.signalCode !== null) continue;
    const exited = once(child, 'exit');
    child.kill('SIGTERM');
    await exited;
  }
}

/** The directory of firewalld's unpacked packages, fetched once. */
async function unpacked(): Promise<string> {
  if (existsSync(CACHE)) return CACHE;
  await mkdir(join(CACHE, '..'), { recursive: true });
  const work = await mkdtemp(`${CACHE}-new-`);
  await execute('apt-get', ['download', ...PACKAGES], { cwd: work });
  for (const file of await readdir(work)) {
    await execute('dpkg-deb', ['-x', join(work, file), join(work, 'root')]);
  }
  await rename(join(work, 'root'), CACHE);
  await rm(work, { recursive: true });
  return CACHE;
}
