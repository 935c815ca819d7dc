import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  closeSync,
  copyFileSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ensureIdentities } from '../../src/cluster/certificate-care.ts';
import { ensureAuthorities } from '../../src/cluster/certificates.ts';
import { etcdFlags, flagList, peerUrl } from '../../src/cluster/component-flags.ts';
import { processSpecs } from '../../src/cluster/components.ts';
import { ensureEncryption } from '../../src/cluster/encryption.ts';
import { haproxyConfig } from '../../src/cluster/load-balancer.ts';
import { settingsFor } from '../../src/cluster/prepare.ts';
import type { ClusterSettings } from '../../src/cluster/settings.ts';
import { K8TS } from './cluster.ts';
import { eventually } from './eventually.ts';
import { createMachines, type Machine } from './machines.ts';

type Part = 'etcd' | 'apiserver' | 'controller-manager' | 'scheduler';

/** Three control planes without nodes: an etcd, an API server and so on in each of three networks, and HAProxy before them. */
export interface ControlPlanes {
  readonly machines: readonly Machine[];
  /** A kubeconfig of the administrator that leads through HAProxy, from within `enter`. */
  readonly kubeconfig: string;
  /** The words that put a program where HAProxy is. */
  readonly enter: readonly string[];
  start(machine: number, part: Part): void;
  /** Resolves when it has ended. */
  kill(machine: number, part: Part, signal: NodeJS.Signals): Promise<void>;
  /**
   * Starts one more API server on a machine, which knows all members of etcd, as with an etcd of the operator's own. Answers
   * its administrator's kubeconfig.
   */
  startExternal(machine: number): string;
  /** Which machine's member leads etcd. */
  etcdLeader(): Promise<number>;
  remove(): Promise<void>;
}

export async function startControlPlanes(parts: readonly Part[]): Promise<ControlPlanes> {
  const set = await createMachines(['cp-1', 'cp-2', 'cp-3'], { images: false });
  const directory = mkdtempSync(join(tmpdir(), 'k8ts-planes-'));
  const endpoint = `${set.hubAddress}:6443`;
  const settings = set.machines.map(({ name, ip }) => ({
    ...settingsFor({ nodeName: name, nodeIp: ip }),
    ...{ store: 'stacked' as const, endpoint },
  }));
  await makeFiles(set.machines, settings);
  const running = new Map<string, ChildProcess>();
  const start = (i: number, part: Part): void => {
    const machine = set.machines[i] as Machine;
    const child = launch(machine, part, commandOf(machine, settings, part));
    running.set(`${i}-${part}`, child);
    // What ends by itself is started again, as the supervisor does.
    child.once('exit', () => {
      if (running.get(`${i}-${part}`) === child) start(i, part);
    });
  };
  const haproxy = startHaproxy(set, directory);
  const kubeconfig = join(directory, 'kubeconfig');
  const admin = readFileSync((set.machines[0] as Machine).paths.kubeconfig('admin'), 'utf8');
  writeFileSync(kubeconfig, admin.replace('127.0.0.1:6443', endpoint));
  const kill = async (i: number, part: Part, signal: NodeJS.Signals): Promise<void> => {
    const child = running.get(`${i}-${part}`);
    running.delete(`${i}-${part}`);
    if (child) await end(child, signal);
  };
  for (const part of parts) for (const i of [0, 1, 2]) start(i, part);
  return {
    machines: set.machines,
    kubeconfig,
    enter: set.hub.enter,
    start,
    kill,
    startExternal(i) {
      const machine = set.machines[i] as Machine;
      const args = externalArgs(machine, settings);
      running.set(`${i}-external`, launch(machine, 'external', [K8TS, args]));
      const file = join(directory, `external-${i}`);
      const own = readFileSync(machine.paths.kubeconfig('admin'), 'utf8');
      writeFileSync(file, own.replace('127.0.0.1:6443', `127.0.0.1:${EXTERNAL_PORT}`));
      return file;
    },
    etcdLeader: () => etcdLeader(set.machines),
    async remove() {
      const children = [...running.values(), haproxy];
      running.clear();
      await Promise.all(children.map((child) => end(child, 'SIGKILL')));
      await set.remove();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

/** Certificates of one authority for all. */
async function makeFiles(
  machines: readonly Machine[],
  settings: readonly ClusterSettings[],
): Promise<void> {
  const [first] = machines as [Machine];
  const now = Date.now();
  mkdirSync(first.paths.pki, { recursive: true });
  await ensureAuthorities(first.paths.pki, now);
  ensureEncryption(first.paths);
  for (const [i, { paths }] of machines.entries()) {
    if (i > 0) cpSync(first.paths.config, paths.config, { recursive: true });
    mkdirSync(paths.etcd, { recursive: true, mode: 0o700 });
  }
  for (const [i, { paths }] of machines.entries()) {
    await ensureIdentities(paths, settings[i] as ClusterSettings, now);
    // Nobody gives the administrators of this cluster their rights.
    copyFileSync(paths.kubeconfig('super-admin'), paths.kubeconfig('admin'));
  }
}

function commandOf(
  machine: Machine,
  settings: readonly ClusterSettings[],
  part: Part,
): [string, readonly string[]] {
  const own = settings.find(({ nodeName }) => nodeName === machine.name) as ClusterSettings;
  if (part === 'etcd') {
    const all = settings.map(({ nodeName, nodeIp }) => `${nodeName}=${peerUrl(nodeIp)}`).join(',');
    // All at once, where `k8ts join` adds one after the other.
    const together = { 'initial-cluster': all, 'initial-cluster-state': 'new' };
    return ['etcd', flagList({ ...etcdFlags(machine.paths, own), ...together })];
  }
  const specs = processSpecs(machine.paths, own, { program: K8TS, args: [] });
  const spec = specs.find(({ name }) => name === part);
  return [K8TS, spec?.args ?? []];
}

const EXTERNAL_PORT = 7443;

function externalArgs(
  { name, paths }: Machine,
  settings: readonly ClusterSettings[],
): readonly string[] {
  const own = settings.find(({ nodeName }) => nodeName === name) as ClusterSettings;
  const pki = (file: string) => join(paths.pki, file);
  const externalEtcd = {
    servers: settings.map(({ nodeIp }) => `https://${nodeIp}:2379`).join(','),
    ...{ caFile: pki('etcd/ca.crt'), certFile: pki('apiserver-etcd-client.crt') },
    keyFile: pki('apiserver-etcd-client.key'),
  };
  // Known by another address, or it would take the place of the other one of the machine in the Service.
  const nodeIp = own.nodeIp.replace(/\.(\d+)$/, '.1$1');
  const changed = { ...own, store: 'external' as const, externalEtcd, port: EXTERNAL_PORT, nodeIp };
  const specs = processSpecs(paths, changed, { program: K8TS, args: [] });
  return specs.find((spec) => spec.name === 'apiserver')?.args ?? [];
}

function launch(
  { network, paths }: Machine,
  part: Part | 'external',
  [program, args]: [string, readonly string[]],
): ChildProcess {
  const [nsenter = '', ...within] = network.enter;
  mkdirSync(paths.logs, { recursive: true });
  const log = openSync(join(paths.logs, `${part}.log`), 'a');
  const child = spawn(nsenter, [...within, program, ...args], { stdio: ['ignore', log, log] });
  closeSync(log);
  return child;
}

function startHaproxy(
  set: Awaited<ReturnType<typeof createMachines>>,
  directory: string,
): ChildProcess {
  const file = join(directory, 'haproxy.cfg');
  const servers = set.machines.map(({ ip }) => `${ip}:6443`);
  writeFileSync(file, haproxyConfig({ bind: '*:6443', servers }));
  const [nsenter = '', ...within] = set.hub.enter;
  return spawn(nsenter, [...within, 'haproxy', '-db', '-f', file], { stdio: 'ignore' });
}

function etcdLeader(machines: readonly Machine[]): Promise<number> {
  return eventually('a member leads', () => presentLeader(machines));
}

async function presentLeader(machines: readonly Machine[]): Promise<number | undefined> {
  for (const [i, machine] of machines.entries()) {
    const url = 'http://127.0.0.1:2381/metrics';
    const asked = await machine.network.run('curl', ['-s', '-m', '2', url], {
      acceptExitCodes: [0, 7, 28],
    });
    if (/^etcd_server_is_leader 1$/m.test(asked.stdout)) return i;
  }
  return undefined;
}

async function end(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, 'exit');
  child.kill(signal);
  await exited;
}

/** Resolves when all API servers answer. */
export async function awaitApi({ machines }: ControlPlanes): Promise<void> {
  for (const machine of machines) {
    await eventually(`${machine.name} is ready`, () =>
      machine.kubectl('get', '--raw', '/readyz', '--request-timeout=3s'),
    );
  }
}
