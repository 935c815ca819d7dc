import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { promisify } from 'node:util';
import type { KubeObject } from '../../../src/api/types.ts';
import { NamespaceProcess } from './namespace-process.ts';

const execute = promisify(execFile);

export interface ProbeRequest {
  op: 'tcp' | 'udp' | 'http' | 'hold' | 'talk' | 'flood-start' | 'flood-stop';
  host?: string;
  port?: number;
  count?: number;
  timeoutMs?: number;
  localPort?: number | undefined;
  handle?: number;
}

export interface ProxyRequest {
  op: 'apply' | 'start' | 'apply-timed' | 'delete' | 'cleanup';
  objects: KubeObject[];
}

/** Who answered, and whom it saw; or why nobody did. */
export interface Answer {
  name?: string;
  peer?: string;
  error?: string;
  handle?: number;
  /** From the connection's begin to the first byte. */
  microseconds?: number;
}

export interface ProxyOptions {
  syncPeriodMs?: number;
  /** There before the proxy looks for the first time. */
  objects?: readonly KubeObject[];
  /** In place of a KubeProxyConfiguration's own. */
  ipvs?: { scheduler?: string; strictARP?: boolean };
  nodePortAddresses?: readonly string[];
}

export type Place = 'node' | 'pod1' | 'pod2' | 'client' | 'node-b';

/** The addresses of the world; every Pod listens on port 8080. */
export const ADDRESSES = {
  pod1: { ip: '10.244.0.11', ip6: 'fd00:10:244::11', node: 'node-a' },
  pod2: { ip: '10.244.0.12', ip6: 'fd00:10:244::12', node: 'node-a' },
  pod3: { ip: '10.244.0.13', ip6: 'fd00:10:244::13', node: 'node-a' },
  /** Runs on the other node. */
  pod4: { ip: '10.244.1.14', ip6: 'fd00:10:244:1::14', node: 'node-b' },
} as const;
export type PodName = keyof typeof ADDRESSES;
export const NODE_IP = '192.0.2.1';
export const CLIENT_IP = '192.0.2.2';
const LOCAL_PODS: readonly PodName[] = ['pod1', 'pod2', 'pod3'];

/**
 * A node with Pods on a bridge, another node with a Pod, and a client outside of the cluster, all of them
 * network namespaces; a proxy runs in the node's. Undone by `stop`.
 */
export class NetworkWorld {
  readonly #id = `k8ts-${randomBytes(3).toString('hex')}`;
  readonly #namespaces: string[] = [];
  readonly #processes: NamespaceProcess[] = [];
  readonly #probers = new Map<Place, NamespaceProcess>();
  #proxy: NamespaceProcess | undefined;

  async start(): Promise<void> {
    await this.#lay();
    const servers: [string, string][] = LOCAL_PODS.map((pod) => [pod, pod]);
    servers.push(['node-b', 'pod4']);
    await Promise.all(
      servers.map(async ([place, name]) => {
        const server = new NamespaceProcess(this.ns(place), 'echo-server', [name]);
        this.#processes.push(server);
        await server.whenReady();
      }),
    );
  }

  /** The network namespace of a place. */
  ns(place: string): string {
    return `${this.#id}-${place}`;
  }

  async startProxy(mode: string, options: ProxyOptions = {}): Promise<void> {
    const { syncPeriodMs = 30_000, ipvs = {}, nodePortAddresses = [] } = options;
    const args = [mode, String(syncPeriodMs), JSON.stringify({ ipvs, nodePortAddresses })];
    const proxy = new NamespaceProcess(this.ns('node'), 'proxy-harness', args);
    this.#proxy = proxy;
    await proxy.whenReady();
    await this.apply(NODE, ...(options.objects ?? []));
    await proxy.ask({ op: 'start', objects: [] } satisfies ProxyRequest);
  }

  async stopProxy(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    await this.#proxy?.stop(signal);
    this.#proxy = undefined;
  }

  async apply(...objects: KubeObject[]): Promise<void> {
    await this.#proxy?.ask({ op: 'apply', objects } satisfies ProxyRequest);
  }

  /** Milliseconds from the change to the kernel holding it. */
  async applyTimed(...objects: KubeObject[]): Promise<number> {
    if (!this.#proxy) throw new Error('No proxy runs');
    return await this.#proxy.ask({ op: 'apply-timed', objects } satisfies ProxyRequest);
  }

  async remove(...objects: KubeObject[]): Promise<void> {
    await this.#proxy?.ask({ op: 'delete', objects } satisfies ProxyRequest);
  }

  /** Stops the proxy and lets it remove its rules. */
  async cleanup(): Promise<void> {
    await this.#proxy?.ask({ op: 'cleanup', objects: [] } satisfies ProxyRequest);
    await this.stopProxy('SIGTERM');
  }

  get proxyLog(): string {
    return this.#proxy?.stderr ?? '';
  }

  async probe<T>(from: Place, request: ProbeRequest): Promise<T> {
    let prober = this.#probers.get(from);
    if (!prober) {
      prober = new NamespaceProcess(this.ns(from), 'prober');
      this.#processes.push(prober);
      this.#probers.set(from, prober);
    }
    return await prober.ask<T>(request);
  }

  async tcp(from: Place, host: string, port: number, count = 1): Promise<Answer[]> {
    return await this.probe(from, { op: 'tcp', host, port, count, timeoutMs: TIMEOUT_MS });
  }

  /** A command on the node; its standard output. */
  async onNode(...command: string[]): Promise<string> {
    return await this.run('node', ...command);
  }

  /** A command in a namespace of the world; its standard output. */
  async run(place: Place | PodName, ...command: string[]): Promise<string> {
    const args = [`--net=/run/netns/${this.ns(place)}`, ...command];
    return (await execute('nsenter', args, { maxBuffer: 64 * 1024 * 1024 })).stdout;
  }

  /** A program that runs in a namespace of the world until it is killed. */
  spawn(place: Place | PodName, ...command: string[]): ChildProcess {
    const args = [`--net=/run/netns/${this.ns(place)}`, ...command];
    return spawn('nsenter', args, { stdio: 'ignore' });
  }

  async stop(): Promise<void> {
    await this.stopProxy();
    await Promise.all(this.#processes.map((child) => child.stop('SIGKILL')));
    for (const namespace of this.#namespaces) await ip('netns', 'del', namespace);
  }

  async #lay(): Promise<void> {
    for (const place of ['node', 'client', 'node-b', ...LOCAL_PODS]) {
      await ip('netns', 'add', this.ns(place));
      this.#namespaces.push(this.ns(place));
    }
    const node = this.ns('node');
    await batch(node, [
      'link set lo up',
      'link add cni0 type bridge',
      'addr add 10.244.0.1/24 dev cni0',
      'addr add fd00:10:244::1/64 dev cni0 nodad',
      'link set cni0 up',
      `link add eth0 type veth peer name eth0 netns ${this.ns('client')}`,
      `link add eth1 type veth peer name eth0 netns ${this.ns('node-b')}`,
      `addr add ${NODE_IP}/24 dev eth0`,
      'addr add 2001:db8:2::1/64 dev eth0 nodad',
      'addr add 192.0.3.1/24 dev eth1',
      'addr add 2001:db8:3::1/64 dev eth1 nodad',
      'link set eth0 up',
      'link set eth1 up',
      'route add 10.244.1.0/24 via 192.0.3.2',
      'route add fd00:10:244:1::/64 via 2001:db8:3::2',
      // Nobody is there. By way of the client the kernel would tell that one to go directly, and hardly ever refuse it anything:
      // its messages to one address have a limit in common.
      'link add up0 type veth peer name up1',
      'link set up0 up',
      'link set up1 up',
      'route add default dev up0',
      'route add ::/0 dev up0',
    ]);
    for (const [index, pod] of LOCAL_PODS.entries()) await this.#layPod(pod, index);
    await batch(this.ns('client'), [
      'link set lo up',
      `addr add ${CLIENT_IP}/24 dev eth0`,
      'addr add 2001:db8:2::2/64 dev eth0 nodad',
      'link set eth0 up',
      `route add default via ${NODE_IP}`,
      'route add ::/0 via 2001:db8:2::1',
    ]);
    const pod4 = ADDRESSES.pod4;
    await batch(this.ns('node-b'), [
      'link set lo up',
      'addr add 192.0.3.2/24 dev eth0',
      'addr add 2001:db8:3::2/64 dev eth0 nodad',
      `addr add ${pod4.ip}/32 dev lo`,
      `addr add ${pod4.ip6}/128 dev lo`,
      'link set eth0 up',
      'route add default via 192.0.3.1',
      'route add ::/0 via 2001:db8:3::1',
    ]);
  }

  async #layPod(pod: PodName, index: number): Promise<void> {
    const { ip: address, ip6 } = ADDRESSES[pod];
    await batch(this.ns('node'), [
      `link add veth${index} type veth peer name eth0 netns ${this.ns(pod)}`,
      `link set veth${index} master cni0 up`,
      `link set veth${index} type bridge_slave hairpin on`,
    ]);
    await batch(this.ns(pod), [
      'link set lo up',
      `addr add ${address}/24 dev eth0`,
      `addr add ${ip6}/64 dev eth0 nodad`,
      'link set eth0 up',
      'route add default via 10.244.0.1',
      'route add ::/0 via fd00:10:244::1',
    ]);
  }
}

/** How long an answer may take before it counts as none. A VM without KVM is ten times slower. */
export const TIMEOUT_MS = Number(process.env.PROBE_TIMEOUT_MS ?? 400);

const NODE: KubeObject = {
  apiVersion: 'v1',
  kind: 'Node',
  metadata: { name: 'node-a', labels: { 'topology.kubernetes.io/zone': 'zone-a' } },
  status: {
    addresses: [
      { type: 'InternalIP', address: NODE_IP },
      { type: 'InternalIP', address: '2001:db8:2::1' },
    ],
  },
};

async function ip(...args: string[]): Promise<void> {
  await execute('ip', args);
}

/** Several `ip` commands in a namespace by one process. */
async function batch(namespace: string, commands: readonly string[]): Promise<void> {
  const child = execute('ip', ['-n', namespace, '-batch', '-']);
  child.child.stdin?.end(`${commands.join('\n')}\n`);
  await child;
}
