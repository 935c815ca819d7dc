import { execFile, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { promisify } from 'node:util';

const execute = promisify(execFile);
const repository = join(import.meta.dirname, '../..');
const cache = join(repository, 'node_modules/.cache/vm');

/** The directory of an unpacked kernel package of this Debian, fetched once. */
async function kernel(): Promise<string> {
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
  await rename(join(work, 'root'), unpacked);
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
  const images = await readdir(join(system, 'boot'));
  const image = images.find((name) => name.startsWith('vmlinuz-')) ?? '';
  // No acceleration by the host: what every machine can do, at a tenth of the speed.
  const machine = '-machine q35 -accel tcg,thread=multi -smp 2 -cpu max -nodefaults';
  const quiet = '-no-user-config -display none -serial stdio -no-reboot';
  const device = job.network ? '-netdev user,id=n -device virtio-net-pci,netdev=n' : '';
  const words = [machine, `-m ${job.megabytes ?? 1024}`, quiet, device].join(' ').trim();
  const files = ['-kernel', join(system, 'boot', image), '-initrd', disk];
  const args = [...words.split(' '), ...files, '-append', kernelLine(job)];
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
  }, job.timeoutMs);
  await new Promise<void>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', () => resolve());
  });
  clearTimeout(timer);
  return output;
}

function kernelLine({ program, args, env = {} }: Job): string {
  // A busy host is late with the emulated timer, which the kernel would take for broken hardware.
  const clocks = 'tsc=unstable no_timer_check';
  // What the kernel does not know goes into the environment of its first program.
  const variables = Object.entries(env).map(([name, value]) => `${name}=${value}`);
  const run = `k8ts.run=${[basename(program, '.ts'), ...args].join(',')}`;
  return ['console=ttyS0 panic=-1 quiet loglevel=1', clocks, run, ...variables].join(' ');
}
