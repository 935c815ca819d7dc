import { randomBytes } from 'node:crypto';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { imageBundles } from '../../src/cluster/images.ts';
import { run } from '../../src/host/exec.ts';
import { Cluster, provideImages } from './cluster.ts';
import { type NetworkNamespace, networkNamespace } from './network-namespace.ts';

const PREFIX = '10.77.0';
const FIRST = 11;

/** Several machines on one link: network namespaces, each with a root directory of its own. */
export interface Machines {
  /** Of the switch between them, at .1: whoever is neither of the machines asks from here. */
  readonly hub: NetworkNamespace;
  readonly hubAddress: string;
  readonly machines: readonly Machine[];
  remove(): Promise<void>;
}

export class Machine extends Cluster {
  readonly name: string;
  readonly ip: string;
  readonly #hub: NetworkNamespace;
  readonly #port: string;

  constructor(place: {
    name: string;
    ip: string;
    hub: NetworkNamespace;
    port: string;
    root: string;
    namespace: string;
  }) {
    super(place);
    this.name = place.name;
    this.ip = place.ip;
    this.#hub = place.hub;
    this.#port = place.port;
  }

  /** Pulls its cable, or plugs it in again. */
  async cable(state: 'up' | 'down'): Promise<void> {
    await this.#hub.run('ip', ['link', 'set', this.#port, state]);
  }

  /** A command of k8ts that names this machine. */
  async named(...words: string[]): Promise<void> {
    await this.k8ts(...words, '--node-name', this.name);
  }

  /** Runs the command that `k8ts token create --print-join-command` has printed. */
  async join(command: string): Promise<void> {
    await this.named(...command.trim().split(' ').slice(1));
  }
}

/** `images`: false for machines that run no Pods. */
export async function createMachines(
  names: readonly string[],
  { images }: { images: boolean } = { images: true },
): Promise<Machines> {
  const id = randomBytes(3).toString('hex');
  const hub = networkNamespace(`k8ts-hub-${id}`);
  const machines: Machine[] = [];
  const remove = async () => {
    for (const machine of machines) await machine.remove({ started: images });
    await hub.remove();
  };
  await run('ip', ['netns', 'add', hub.name]);
  try {
    await batch(hub.name, [
      'link set lo up',
      'link add switch type bridge',
      `addr add ${PREFIX}.1/24 dev switch`,
      'link set switch up',
    ]);
    for (const [i, name] of names.entries()) {
      machines.push(await plugIn(name, { hub, number: i, namespace: `k8ts-m${i}-${id}` }));
    }
    if (images) for (const { paths } of machines) await provideImages(imageBundles(paths));
  } catch (err) {
    await remove();
    throw err;
  }
  return { hub, hubAddress: `${PREFIX}.1`, machines, remove };
}

/** A machine at a port of the switch. */
async function plugIn(
  name: string,
  { hub, number, namespace }: { hub: NetworkNamespace; number: number; namespace: string },
): Promise<Machine> {
  const ip = `${PREFIX}.${FIRST + number}`;
  const port = `port${number}`;
  await run('ip', ['netns', 'add', namespace]);
  await batch(hub.name, [
    `link add ${port} type veth peer name eth0 netns ${namespace}`,
    `link set ${port} master switch up`,
  ]);
  await batch(namespace, [
    'link set lo up',
    `addr add ${ip}/24 dev eth0`,
    'link set eth0 up',
    `route add default via ${PREFIX}.1`,
  ]);
  const root = mkdtempSync(join(tmpdir(), 'k8ts-'));
  return new Machine({ name, ip, hub, port, root, namespace });
}

async function batch(namespace: string, commands: readonly string[]): Promise<void> {
  const input = `${commands.join('\n')}\n`;
  await run('ip', ['-netns', namespace, '-batch', '-'], { input });
}
