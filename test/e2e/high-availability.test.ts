import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { signalProcess } from '../../src/host/processes.ts';
import { kubectlProgram } from '../support/cluster.ts';
import { eventually } from '../support/eventually.ts';
import { createMachines, type Machine, type Machines } from '../support/machines.ts';

// Three control planes, a worker, and HAProxy before them, each in a network namespace of its own.
const DISABLED = ['--disable', 'dns', 'metrics-server'];
let set: Machines;
let cp: [Machine, Machine, Machine];
let worker: Machine;
let haproxy: ChildProcess | undefined;
const directory = mkdtempSync(join(tmpdir(), 'k8ts-ha-'));
const outside = join(directory, 'kubeconfig');

beforeAll(async () => {
  set = await createMachines(['cp-1', 'cp-2', 'cp-3', 'worker']);
  cp = set.machines.slice(0, 3) as [Machine, Machine, Machine];
  worker = set.machines[3] as Machine;
  const endpoint = `${set.hubAddress}:6443`;
  await startHaproxy();
  const options = ['--control-plane-endpoint', endpoint, ...DISABLED];
  await cp[0].named('up', '--detach', '--etcd', 'stacked', ...options);
  for (const machine of cp.slice(1)) {
    const words = ['token', 'create', '--control-plane', '--print-join-command'];
    await machine.join((await cp[0].k8ts(...words)).stdout);
  }
  await worker.join((await cp[0].k8ts('token', 'create', '--print-join-command')).stdout);
  const config = readFileSync(cp[0].paths.kubeconfig('admin'), 'utf8');
  writeFileSync(outside, config.replace('https://127.0.0.1:6443', `https://${endpoint}`));
}, 280_000);

afterAll(async () => {
  haproxy?.kill('SIGKILL');
  await set.remove();
  rmSync(directory, { recursive: true, force: true });
});

async function startHaproxy(): Promise<void> {
  const servers = cp.map(({ ip }) => `${ip}:6443`).join(',');
  const { stdout } = await cp[0].k8ts('lb', 'config', '--servers', servers);
  const file = join(directory, 'haproxy.cfg');
  writeFileSync(file, stdout);
  const [nsenter = '', ...within] = set.hub.enter;
  haproxy = spawn(nsenter, [...within, 'haproxy', '-db', '-f', file], { stdio: 'ignore' });
}

/** kubectl from outside, through HAProxy. */
async function through(...words: string[]): Promise<string> {
  const options = { env: { HOME: directory, KUBECONFIG: outside }, timeoutMs: 60_000 };
  return (await set.hub.run(kubectlProgram(), words, options)).stdout;
}

interface Named {
  metadata: { name: string };
}

const votes = async (machine: Machine): Promise<string[]> => {
  const pki = join(machine.paths.pki, 'etcd');
  const { stdout } = await machine.network.run(
    'etcdctl',
    [
      ...['--cacert', join(pki, 'ca.crt'), '--cert', join(pki, 'healthcheck-client.crt')],
      ...['--key', join(pki, 'healthcheck-client.key'), 'member', 'list'],
    ],
    { env: { ETCDCTL_API: '3' } },
  );
  const lines = stdout
    .trim()
    .split('\n')
    .map((line) => line.split(', '));
  return lines
    .filter((cells) => cells[1] === 'started' && cells[5] === 'false')
    .map((c) => c[2] ?? '')
    .sort();
};

const apiServers = async (machine: Machine): Promise<string[]> => {
  const { subsets } = await machine.get('endpoints', 'kubernetes');
  return subsets[0].addresses.map(({ ip }: { ip: string }) => ip);
};

const holder = async (machine: Machine, lease: string): Promise<string> =>
  (await machine.get('lease', '-n', 'kube-system', lease)).spec.holderIdentity;

/** Process of a component that the machine's supervisor keeps. */
const pidOf = (machine: Machine, name: string): number =>
  JSON.parse(readFileSync(join(machine.paths.run, `${name}.pid`), 'utf8')).pid;

describe('three control planes', () => {
  it('are nodes of one cluster, members of one etcd, and all in the Service kubernetes', async () => {
    const { items } = await cp[2].get('nodes', '-l', 'node-role.kubernetes.io/control-plane');
    expect(items.map(({ metadata }: Named) => metadata.name)).toEqual(['cp-1', 'cp-2', 'cp-3']);
    expect(await votes(cp[1])).toEqual(['cp-1', 'cp-2', 'cp-3']);
    await eventually('all are in the Service', async () => (await apiServers(cp[1])).length === 3);
    expect(await apiServers(cp[1])).toEqual(cp.map(({ ip }) => ip));
    expect(await through('get', 'nodes', 'worker')).toMatch(/worker +Ready/);
  });

  it('serve through HAProxy without one failed call while an API server is restarted', async () => {
    const victim = cp[1];
    const before = pidOf(victim, 'apiserver');
    let isBack = false;
    const restart = async () => {
      signalProcess(before, 'SIGTERM');
      await eventually(
        'the API server is back',
        async () => {
          if (pidOf(victim, 'apiserver') === before) return false;
          return (
            (await victim.tryKubectl(['get', '--raw', '/readyz'], { acceptExitCodes: [0, 1] }))
              .exitCode === 0
          );
        },
        60_000,
      );
      isBack = true;
    };
    const restarting = restart();
    let calls = 0;
    while (!isBack) {
      await through('create', 'configmap', `while-restarting-${calls++}`);
      await through('get', 'configmaps', '-o', 'name');
    }
    await restarting;
    expect(calls).toBeGreaterThan(5);
    const names = await through('get', 'configmaps', '-o', 'name');
    for (let i = 0; i < calls; i++) expect(names).toContain(`configmap/while-restarting-${i}\n`);
  });

  it('of which one is cut off: it refuses writes, the others go on, and its watches miss nothing', async () => {
    const lonely = cp[2];
    const seen: string[] = [];
    const [nsenter = '', ...within] = lonely.network.enter;
    const watching = spawn(
      nsenter,
      [...within, kubectlProgram(), 'get', 'configmaps', '-w', '-o', 'name'],
      { env: { ...process.env, HOME: directory, KUBECONFIG: lonely.paths.kubeconfig('admin') } },
    );
    watching.stdout.on('data', (data: Buffer) => {
      seen.push(...String(data).split('\n').filter(Boolean));
    });
    await eventually('the watch has begun', () => seen.length > 0);
    await lonely.cable('down');
    try {
      await eventually('the one alone refuses writes', async () => {
        const words = ['create', 'configmap', `alone-${Date.now()}`, '--request-timeout=5s'];
        return (await lonely.tryKubectl(words, { acceptExitCodes: [0, 1] })).exitCode === 1;
      });
      const words = ['create', 'configmap', 'alone', '--request-timeout=5s'];
      const { exitCode } = await lonely.tryKubectl(words, { acceptExitCodes: [0, 1] });
      expect(exitCode).toBe(1);
      for (let i = 0; i < 10; i++) {
        await eventually(`the others write ${i}`, () =>
          through('create', 'configmap', `meanwhile-${i}`, '--request-timeout=5s'),
        );
      }
    } finally {
      await lonely.cable('up');
    }
    const wanted = Array.from({ length: 10 }, (_, i) => `configmap/meanwhile-${i}`);
    await eventually(
      'the watch has seen all',
      () => wanted.every((name) => seen.includes(name)),
      60_000,
    );
    watching.kill('SIGKILL');
    expect(seen).not.toContain('configmap/alone');
    await eventually('it writes again', () => lonely.kubectl('create', 'configmap', 'together'));
    expect(await cp[0].kubectl('get', 'configmap', 'alone', '--ignore-not-found')).toBe('');
  });

  it('go on without the first: the worker too, and another scheduler places Pods', async () => {
    await cp[0].k8ts('down', '--keep-pods');
    try {
      const renewed = async () =>
        Date.parse((await cp[1].get('lease', '-n', 'kube-node-lease', 'worker')).spec.renewTime);
      const before = await renewed();
      await eventually('the worker renews its lease', async () => (await renewed()) > before);
      await eventually(
        'others lead',
        async () => {
          const leases = ['kube-scheduler', 'kube-controller-manager'];
          const holders = await Promise.all(leases.map((lease) => holder(cp[1], lease)));
          const created = await cp[1].tryKubectl(
            ['create', 'deployment', 'placed', '--image=localhost/k8ts/web:1'],
            { acceptExitCodes: [0, 1] },
          );
          expect([0, 1]).toContain(created.exitCode);
          return holders.length === 2;
        },
        60_000,
      );
      await cp[1].kubectl('rollout', 'status', 'deployment/placed', '--timeout=90s');
      await eventually('the first is out of the Service', async () => {
        return !(await apiServers(cp[1])).includes(cp[0].ip);
      });
    } finally {
      await cp[0].named('up', '--detach', ...DISABLED);
    }
    await eventually('all are back', async () => (await apiServers(cp[1])).length === 3);
  });

  it('become two when one leaves', async () => {
    await cp[2].k8ts('leave');
    expect(await votes(cp[0])).toEqual(['cp-1', 'cp-2']);
    await eventually('its API server is gone', async () => (await apiServers(cp[0])).length === 2);
    const { items } = await cp[0].get('nodes');
    expect(items.map(({ metadata }: Named) => metadata.name)).toEqual(['cp-1', 'cp-2', 'worker']);
    await through('create', 'configmap', 'two-are-enough');
  });
});
