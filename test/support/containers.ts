import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import {
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  rmSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type RunOptions, type RunResult, run } from '../../src/host/exec.ts';
import { listProcesses } from '../../src/host/processes.ts';
import { eventually } from './eventually.ts';

/** Of what comes from Debian: the emulated machine is made of it, too. */
const CACHE = join(import.meta.dirname, '../../node_modules/.cache/vm');
const SCRIPT = join(import.meta.dirname, 'container.sh');
const CGROUPS = '/sys/fs/cgroup';
const ENTER = ['--mount', '--uts', '--ipc', '--net', '--pid', '--cgroup', '--root', '--wd'];
const HOME = ['HOME=/root', 'PATH=/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin'];
const LIMIT_MS = 600_000;

interface Place {
  readonly name: string;
  /** Its network namespace, and its groups. */
  readonly id: string;
  readonly home: string;
  readonly base: string;
}

/** A server as Debian ships it, which systemd runs: like a virtual machine, but for the kernel, which is this machine's. */
export class Server {
  readonly #place: Place;
  #container: ChildProcess | undefined;
  #init: number | undefined;

  constructor(place: Place) {
    this.#place = place;
  }

  /** Switches it on. Resolves when systemd has started all there is to start. */
  async boot(): Promise<void> {
    const { name, home, base, id } = this.#place;
    mkdirSync(home, { recursive: true });
    const log = openSync(join(home, 'log'), 'w');
    const container = spawn(SCRIPT, ['start', name, home, base, id, id], {
      stdio: ['ignore', log, log],
    });
    closeSync(log);
    this.#container = container;
    await eventually(`${name} has started`, async () => {
      if (container.exitCode !== null) throw new Error(readFileSync(join(home, 'log'), 'utf8'));
      this.#init = systemdOf(container.pid ?? 0);
      if (this.#init === undefined) return false;
      const words = ['is-system-running', '--wait'];
      const { stdout } = await this.run('systemctl', words, { acceptExitCodes: [0, 1] });
      if (stdout.trim() === 'running') return true;
      throw new Error(`${stdout}${(await this.run('systemctl', ['--failed'])).stdout}`);
    });
  }

  run(program: string, args: readonly string[], options: RunOptions = {}): Promise<RunResult> {
    const words = [`--target=${this.#init}`, ...ENTER, 'env', '-i', ...HOME, program, ...args];
    return run('nsenter', words, { timeoutMs: LIMIT_MS, ...options });
  }

  /** A line of a shell, in a session of its own: what it leaves behind runs on when it has ended. Answers what it printed. */
  async shell(line: string): Promise<string> {
    const session = ['--scope', '--quiet', '--collect', 'bash', '-c', line];
    return (await this.run('systemd-run', session)).stdout;
  }

  async kubectl(...words: string[]): Promise<string> {
    return (await this.run('kubectl', words)).stdout.trim();
  }

  /** Asks systemd for it, and switches it on again. Answers when it was off. */
  async reboot(): Promise<number> {
    const container = this.#container;
    if (!container) throw new Error(`${this.#place.name} is switched off`);
    const ended = once(container, 'close');
    await this.run('systemctl', ['reboot', '--no-block']);
    await ended;
    const off = Date.now();
    await this.boot();
    return off;
  }

  /** Pulls the plug. */
  async switchOff(): Promise<void> {
    const container = this.#container;
    if (!container || container.exitCode !== null || container.signalCode !== null) return;
    const ended = once(container, 'close');
    // All of it ends with this (unshare --kill-child).
    container.kill('SIGKILL');
    await ended;
  }
}

/** systemd, where a process has started it as the first of a server. Until then that is something of this machine. */
function systemdOf(parent: number): number | undefined {
  const marks = [/^Name:\tsystemd$/m, new RegExp(`^PPid:\t${parent}$`, 'm'), /^NSpid:.*\t1$/m];
  return listProcesses().find((pid) => {
    try {
      const status = readFileSync(`/proc/${pid}/status`, 'utf8');
      return marks.every((mark) => mark.test(status));
    } catch {
      return false; // It ended meanwhile.
    }
  });
}

export interface Servers {
  readonly servers: readonly Server[];
  remove(): Promise<void>;
}

/**
 * Servers as Vagrant makes them, by name and address: each has a network that leads outside (here: nowhere), with the same
 * address on all, and one that they share.
 */
export async function bootServers(
  wanted: readonly { name: string; address: string }[],
): Promise<Servers> {
  const work = mkdtempSync(join(tmpdir(), 'k8ts-servers-'));
  const base = join(work, 'base');
  const id = `k8ts-vagrant-${randomBytes(3).toString('hex')}`;
  const places = wanted.map(({ name }, i) => {
    return { name, id: `${id}-${i}`, home: join(work, name), base };
  });
  const servers = places.map((place) => new Server(place));
  const remove = async () => {
    for (const server of servers) await server.switchOff();
    for (const space of [id, ...places.map((place) => place.id)]) await removeTraces(space);
    rmSync(work, { recursive: true, force: true });
  };
  try {
    await run(SCRIPT, ['base', CACHE, base], { timeoutMs: LIMIT_MS });
    await connect(
      id,
      places.map((place, i) => [place.id, wanted[i]?.address ?? '']),
    );
    await Promise.all(servers.map((server) => server.boot()));
  } catch (err) {
    await remove();
    throw err;
  }
  return { servers, remove };
}

/** A switch in the namespace `hub`, and at its ports those of the servers. */
async function connect(hub: string, spaces: readonly (readonly string[])[]): Promise<void> {
  await run('ip', ['netns', 'add', hub]);
  await batch(hub, ['link add switch type bridge', 'link set switch up']);
  for (const [i, [space = '', address = '']] of spaces.entries()) {
    await run('ip', ['netns', 'add', space]);
    await batch(space, [
      'link set lo up',
      'link add eth0 type veth peer name outside',
      'link set outside up',
      'addr add 10.0.2.15/24 dev eth0',
      'link set eth0 up',
      'route add default via 10.0.2.2',
    ]);
    await batch(hub, [
      `link add port${i} type veth peer name eth1 netns ${space}`,
      `link set port${i} master switch up`,
    ]);
    await batch(space, [`addr add ${address}/24 dev eth1`, 'link set eth1 up']);
  }
}

async function batch(space: string, commands: readonly string[]): Promise<void> {
  await run('ip', ['-netns', space, '-batch', '-'], { input: `${commands.join('\n')}\n` });
}

/** The namespace and the groups of that name. */
async function removeTraces(id: string): Promise<void> {
  await run('ip', ['netns', 'delete', id], { acceptExitCodes: [0, 1] });
  // Processes of a server that has ended count for moments more.
  await eventually(`the groups ${id} are gone`, () => {
    for (const top of [CGROUPS, ...directories(CGROUPS)]) removeGroups(join(top, id));
    return true;
  });
}

function removeGroups(group: string): void {
  for (const child of directories(group)) removeGroups(child);
  try {
    rmdirSync(group);
  } catch (err) {
    if ((err as NodeJS.ErrnoException).code !== 'ENOENT') throw err;
  }
}

function directories(path: string): string[] {
  try {
    const entries = readdirSync(path, { withFileTypes: true });
    return entries.filter((entry) => entry.isDirectory()).map(({ name }) => join(path, name));
  } catch {
    return []; // It is not there.
  }
}
