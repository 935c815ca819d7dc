import { execFile, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { promisify } from 'node:util';

const execute = promisify(execFile);
const repository = join(import.meta.dirname, '../..');
export const cache = join(repository, 'node_modules/.cache/vm');

/** The directory of an unpacked kernel package of this Debian, fetched once. */
export async function kernel(): Promise<string> {
  const { stdout } = await execute('apt-cache', ['depends', 'linux-image-cloud-amd64']);
  const name = /Depends: (\S+)/.exec(stdout)?.[1];
  if (name === undefined) throw new Error('apt-cache knows no linux-image-cloud-amd64');
  const unpacked = join(cache, name);
  if (existsSync(unpacked)) return unpacked;
  await mkdir(cache, { recursive: true });
  const work = await mkdtemp(join(cache, 'new-'));
  await execute('apt-get', ['download', name], { cwd: work });
  const [archive = ''] = await readdir(work);
  await execute('dpkg-deb', ['-x', join(work, archive), join(work, 'root')]);
  await rename(join(work, 'root'), unpacked).catch((err: unknown) => {
    // Another test of a machine was faster.
    if (!existsSync(unpacked)) throw err;
  });
  await rm(work, { recursive: true });
  return unpacked;
}

/** Programs that others start, by their own names. */
const CHILDREN = ['proxy-harness', 'policy-harness', 'prober', 'echo-server'].map(
  (name) => `test/support/network/${name}.ts`,
);

export interface Job {
  /** What runs, as a file of this repository, and with which arguments. */
  readonly program: string;
  readonly args: readonly string[];
  readonly timeoutMs: number;
  /** More programs, which it starts. */
  readonly programs?: readonly string[];
  /** Files beside the programs, by name. */
  readonly files?: Readonly<Record<string, string>>;
  readonly env?: Readonly<Record<string, string>>;
  readonly megabytes?: number;
  /** Whether it reaches this machine's loopback, at 10.0.2.2. */
  readonly network?: boolean;
}

/** The programs as JavaScript: the guest has no time to read types. */
async function bundle(
  directory: string,
  { program, programs = [], files = {} }: Job,
): Promise<void> {
  const sources = [program, ...programs, ...CHILDREN].map((path) => join(repository, path));
  const options = ['--dir', directory, '--format', 'esm', '--platform', 'node'];
  // They hold native modules, and nothing that runs in the guest asks for them.
  const external = ['--external', 'lmdb', '--external', 'dockerode'];
  const rolldown = join(repository, 'node_modules/.bin/rolldown');
  await execute(rolldown, [...sources, ...options, ...external]);
  await writeFile(join(directory, 'package.json'), '{"type":"module"}');
  for (const [name, text] of Object.entries(files)) await writeFile(join(directory, name), text);
}

/** Boots a machine that does the job; what it printed, until it was switched off. */
export async function runInVirtualMachine(job: Job): Promise<string> {
  const work = await mkdtemp(join(tmpdir(), 'k8ts-vm-'));
  try {
    const [system] = await Promise.all([kernel(), bundle(join(work, 'app'), job)]);
    const disk = join(work, 'initrd');
    const script = join(import.meta.dirname, 'build-initrd.sh');
    await execute(script, [system, join(work, 'app'), disk]);
    return await boot(system, disk, job);
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

async function boot(system: string, disk: string, job: Job): Promise<string> {
  const device = job.network ? ['-netdev', 'user,id=n', '-device', 'virtio-net-pci,netdev=n'] : [];
  const options = ['-cpu', 'max', '-m', `${job.megabytes ?? 1024}`, '-no-reboot', ...device];
  const words = `panic=-1 ${jobWords(job)}`;
  return switchOn({ system, initrd: disk, options, words, timeoutMs: job.timeoutMs });
}

export interface Machine {
  /** The unpacked kernel package. */
  readonly system: string;
  readonly initrd: string;
  /** Of qemu. */
  readonly options: readonly string[];
  /** Besides the usual ones, on the kernel's command line. */
  readonly words: string;
  readonly timeoutMs: number;
}

/** What the machine printed, until it was switched off. */
export async function switchOn(machine: Machine): Promise<string> {
  const { system, initrd, options, words, timeoutMs } = machine;
  const images = await readdir(join(system, 'boot'));
  const image = images.find((name) => name.startsWith('vmlinuz-')) ?? '';
  // No acceleration by the host: what every machine can do, at a tenth of the speed.
  const usual = '-machine q35 -accel tcg,thread=multi -smp 2 -nodefaults -no-user-config';
  // A busy host is late with the emulated timer, which the kernel would take for broken hardware.
  const line = `console=ttyS0 quiet loglevel=1 tsc=unstable no_timer_check ${words}`;
  const files = ['-kernel', join(system, 'boot', image), '-initrd', initrd, '-append', line];
  const screen = ['-display', 'none', '-serial', 'stdio'];
  const args = [...usual.split(' '), ...screen, ...options, ...files];
  const child = spawn('qemu-system-x86_64', args, { stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (data: Buffer) => {
      output += String(data);
    });
  }
  const timer = setTimeout(() => {
    output += '\nswitched off: out of time\n';
    child.kill('SIGKILL');
  }, timeoutMs);
  await new Promise<void>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', () => resolve());
  });
  clearTimeout(timer);
  return output;
}

function jobWords({ program, args, env = {} }: Job): string {
  // What the kernel does not know goes into the environment of its first program.
  const variables = Object.entries(env).map(([name, value]) => `${name}=${value}`);
  return [`k8ts.run=${[basename(program, '.ts'), ...args].join(',')}`, ...variables].join(' ');
}
