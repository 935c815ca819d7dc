import { execFile, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
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

/** The behaviours of the proxy modes as JavaScript: the guest has no time to read types. */
async function bundle(directory: string): Promise<void> {
  const programs = ['run-scenarios', 'proxy-harness', 'policy-harness', 'prober', 'echo-server'];
  const sources = programs.map((name) => join(repository, `test/support/network/${name}.ts`));
  const options = ['--dir', directory, '--format', 'esm', '--platform', 'node'];
  await execute(join(repository, 'node_modules/.bin/rolldown'), [...sources, ...options]);
  await writeFile(join(directory, 'package.json'), '{"type":"module"}');
}

/** Boots a machine that runs the behaviours of `modes` (`MODE` or `MODE:TEXT`); what it printed, until it was switched off. */
export async function runInVirtualMachine(
  modes: readonly string[],
  timeoutMs: number,
): Promise<string> {
  const work = await mkdtemp(join(tmpdir(), 'k8ts-vm-'));
  try {
    const [system] = await Promise.all([kernel(), bundle(join(work, 'app'))]);
    const disk = join(work, 'initrd');
    const script = join(import.meta.dirname, 'build-initrd.sh');
    await execute(script, [system, join(work, 'app'), disk]);
    return await boot(system, disk, modes, timeoutMs);
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

async function boot(
  system: string,
  disk: string,
  modes: readonly string[],
  timeoutMs: number,
): Promise<string> {
  const images = await readdir(join(system, 'boot'));
  const image = images.find((name) => name.startsWith('vmlinuz-')) ?? '';
  // No acceleration by the host: what every machine can do, at a tenth of the speed.
  const machine = '-machine q35 -accel tcg,thread=multi -smp 2 -cpu max -m 1024 -nodefaults';
  const quiet = '-no-user-config -display none -serial stdio -no-reboot';
  // A busy host is late with the emulated timer, which the kernel would take for broken hardware.
  const clocks = 'tsc=unstable no_timer_check';
  const kernelLine = `console=ttyS0 panic=-1 quiet loglevel=1 ${clocks} k8ts.modes=${modes.join(',')}`;
  const files = ['-kernel', join(system, 'boot', image), '-initrd', disk, '-append', kernelLine];
  const args = [...machine.split(' '), ...quiet.split(' '), ...files];
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
