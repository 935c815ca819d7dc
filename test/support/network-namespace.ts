import { randomBytes } from 'node:crypto';
import { type RunOptions, type RunResult, run } from '../../src/host/exec.ts';

/** A network of its own, in which a cluster neither sees nor touches the machine's. */
export interface NetworkNamespace {
  readonly name: string;
  /** Of its one device. */
  readonly address: string;
  /** Runs a program in there. */
  run(program: string, args: readonly string[], options?: RunOptions): Promise<RunResult>;
  /** The words that put a program in there: `nsenter --net=PATH PROGRAM ARGS`. */
  readonly enter: readonly string[];
  remove(): Promise<void>;
}

const ADDRESS = '192.168.77.2';
const GATEWAY = '192.168.77.1';

/** Makes a namespace with one device, an address, and a default route that leads nowhere. */
export async function createNetworkNamespace(): Promise<NetworkNamespace> {
  const name = `k8ts-test-${randomBytes(4).toString('hex')}`;
  await run('ip', ['netns', 'add', name]);
  const commands = [
    'link set lo up',
    // Both ends stay inside: a device with a carrier, and nothing behind it.
    'link add eth0 type veth peer name eth0-peer',
    'link set eth0 up',
    'link set eth0-peer up',
    `addr add ${ADDRESS}/24 dev eth0`,
    `route add default via ${GATEWAY} dev eth0`,
  ];
  await run('ip', ['-netns', name, '-batch', '-'], { input: `${commands.join('\n')}\n` });
  return networkNamespace(name);
}

/** A namespace that somebody else has made. */
export function networkNamespace(name: string): NetworkNamespace {
  // Not `ip netns exec`: that mounts /sys anew and hides the cgroups.
  const enter = ['nsenter', `--net=/run/netns/${name}`];
  return {
    name,
    address: ADDRESS,
    enter,
    run: (program, args, options) =>
      run('nsenter', [enter[1] ?? '', program, ...args], options ?? {}),
    remove: async () => void (await run('ip', ['netns', 'delete', name])),
  };
}
