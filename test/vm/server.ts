import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { cache, kernel, switchOn } from './virtual-machine.ts';

const execute = promisify(execFile);

/**
 * A server with a disk and two networks, on which systemd runs accept.sh, also over reboots; what it printed, until it was
 * switched off.
 */
export async function runServer(timeoutMs: number): Promise<string> {
  const work = await mkdtemp(join(tmpdir(), 'k8ts-server-'));
  try {
    const system = await kernel();
    const [disk, initrd] = [join(work, 'disk'), join(work, 'initrd')];
    const script = join(import.meta.dirname, 'build-disk.sh');
    await execute(script, [system, cache, disk, initrd], { maxBuffer: 16 << 20 });
    const options = [
      // A simple processor is the fastest to emulate.
      ...['-m', '2048', '-cpu', 'qemu64', '-device', 'virtio-rng-pci'],
      ...['-drive', `if=none,id=disk,format=raw,file=${disk},cache=unsafe`],
      ...['-device', 'virtio-blk-pci,drive=disk'],
      ...['-netdev', 'user,id=nat,restrict=on', '-netdev', 'hubport,id=private,hubid=1'],
      ...['-device', 'virtio-net-pci,netdev=nat,mac=52:54:00:00:00:01'],
      ...['-device', 'virtio-net-pci,netdev=private,mac=52:54:00:00:00:02'],
    ];
    return await switchOn({ system, initrd, options, words: '', timeoutMs });
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}
