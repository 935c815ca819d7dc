import { isIPv6 } from 'node:net';
import { run } from './exec.ts';

/** A network device that leads nowhere: addresses on it belong to this node without anybody being asked. */
export interface DummyDevice {
  /** Makes it unless it is there. Rejects when the kernel has no dummy devices. */
  ensure(signal?: AbortSignal): Promise<void>;
  exists(signal?: AbortSignal): Promise<boolean>;
  /** Its addresses of a family; none when there is no such device. */
  addresses(family: 4 | 6, signal?: AbortSignal): Promise<string[]>;
  change(change: { add: string[]; remove: string[] }, signal?: AbortSignal): Promise<void>;
  remove(signal?: AbortSignal): Promise<void>;
}

export function dummyDevice(name: string): DummyDevice {
  return {
    exists,
    async ensure(signal) {
      if (!(await exists(signal)))
        await run('ip', ['link', 'add', name, 'type', 'dummy'], {}, signal);
    },
    async addresses(family, signal) {
      // Its name and state, and then nothing but addresses: there may be 10,000 of them.
      const args = ['-brief', `-${family}`, 'addr', 'show', 'dev', name];
      const { stdout } = await run('ip', args, { acceptExitCodes: [0, 1] }, signal);
      return stdout
        .trim()
        .split(/\s+/)
        .slice(2)
        .map((address) => address.slice(0, address.indexOf('/')))
        .filter((address) => !address.startsWith('fe80:'));
    },
    async change({ add, remove }, signal) {
      const lines = [
        ...remove.map((address) => `addr del ${host(address)} dev ${name}`),
        ...add.map((address) => `addr replace ${host(address)} dev ${name}${options(address)}`),
      ];
      if (lines.length === 0) return;
      await run('ip', ['-force', '-batch', '-'], { input: `${lines.join('\n')}\n` }, signal);
    },
    async remove(signal) {
      if (await exists(signal)) await run('ip', ['link', 'del', name], {}, signal);
    },
  };

  async function exists(signal?: AbortSignal): Promise<boolean> {
    const options = { acceptExitCodes: [0, 1] };
    return (await run('ip', ['link', 'show', name], options, signal)).exitCode === 0;
  }
}

function host(address: string): string {
  return `${address}/${isIPv6(address) ? 128 : 32}`;
}

/** Nobody else can have the address on a device that leads nowhere: duplicates are not looked for. */
function options(address: string): string {
  return isIPv6(address) ? ' nodad' : '';
}
