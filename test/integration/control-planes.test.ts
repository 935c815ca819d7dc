import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { run } from '../../src/host/exec.ts';
import { K8TS, kubectlProgram } from '../support/cluster.ts';
import { awaitApi, type ControlPlanes, startControlPlanes } from '../support/control-planes.ts';
import { eventually } from '../support/eventually.ts';
import type { Machine } from '../support/machines.ts';

let planes: ControlPlanes;
let machines: readonly [Machine, Machine, Machine];
beforeAll(async () => {
  planes = await startControlPlanes(['etcd', 'apiserver', 'scheduler']);
  machines = planes.machines as unknown as [Machine, Machine, Machine];
  await awaitApi(planes);
  await eventually('HAProxy has found them', () => through('get', 'namespaces'));
});
afterAll(() => planes.remove());

/** kubectl from outside, through HAProxy. */
async function through(...words: string[]): Promise<string> {
  const [nsenter = '', ...within] = planes.enter;
  const options = { env: { KUBECONFIG: planes.kubeconfig }, timeoutMs: 60_000 };
  return (await run(nsenter, [...within, kubectlProgram(), ...words], options)).stdout;
}

const apiServers = async (machine: Machine): Promise<string[]> => {
  const { subsets } = await machine.get('endpoints', 'kubernetes');
  return subsets[0].addresses.map(({ ip }: { ip: string }) => ip);
};

const configMaps = () => through('get', 'configmaps', '-o', 'name');

const leader = async (): Promise<string> => {
  const lease = JSON.parse(
    await through('get', 'lease', '-n', 'kube-system', 'kube-scheduler', '-o', 'json'),
  );
  return lease.spec.holderIdentity;
};

describe("a node's balancer", () => {
  it('learns of all API servers from one, and goes on when that one is gone', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'k8ts-balancer-'));
    const kubeconfig = join(directory, 'kubeconfig');
    const listen = '127.0.0.1:7443';
    const text = readFileSync(machines[0].paths.kubeconfig('admin'), 'utf8');
    writeFileSync(kubeconfig, text.replace('127.0.0.1:6443', listen));
    const stateFile = join(directory, 'servers.json');
    const first = `${machines[0].ip}:6443`;
    const flags = { listen, servers: first, kubeconfig, 'state-file': stateFile };
    const args = Object.entries(flags).map(([name, value]) => `--${name}=${value}`);
    const [nsenter = '', ...within] = planes.enter;
    const balancer = spawn(nsenter, [...within, K8TS, 'balancer', ...args], { stdio: 'ignore' });
    const create = async (name: string): Promise<boolean> => {
      const words = ['create', 'configmap', name, '--request-timeout=10s'];
      const options = { env: { KUBECONFIG: kubeconfig }, acceptExitCodes: [0, 1] };
      const { exitCode } = await run(nsenter, [...within, kubectlProgram(), ...words], options);
      return exitCode === 0;
    };
    try {
      await eventually('it knows all', () => {
        const known = JSON.parse(readFileSync(stateFile, 'utf8')) as string[];
        return known.length === 3 && known.includes(first);
      });
      expect(await create('balanced')).toBe(true);
      await planes.kill(0, 'apiserver', 'SIGKILL');
      for (let i = 0; i < 5; i++) expect(await create(`without-the-first-${i}`)).toBe(true);
      planes.start(0, 'apiserver');
      await awaitApi(planes);
    } finally {
      balancer.kill('SIGKILL');
      rmSync(directory, { recursive: true, force: true });
    }
  });
});

describe('three control planes', () => {
  it('are all in the Service kubernetes, and one scheduler leads', async () => {
    await eventually('all are listed', async () => (await apiServers(machines[1])).length === 3);
    expect(await apiServers(machines[2])).toEqual(machines.map(({ ip }) => ip));
    await eventually('one leads', leader);
  });

  it('serve without one failed call through HAProxy while an API server is restarted', async () => {
    let isBack = false;
    const restart = async () => {
      await planes.kill(1, 'apiserver', 'SIGTERM');
      planes.start(1, 'apiserver');
      await awaitApi(planes);
      isBack = true;
    };
    const restarting = restart();
    let calls = 0;
    while (!isBack) {
      await through('create', 'configmap', `while-restarting-${calls++}`);
      await through('get', 'configmaps', '-o', 'name');
    }
    await restarting;
    expect(calls).toBeGreaterThan(3);
    const names = await through('get', 'configmaps', '-o', 'name');
    for (let i = 0; i < calls; i++) expect(names).toContain(`configmap/while-restarting-${i}\n`);
  });

  it('of which one is cut off: it takes no writes, the others do, and its watches miss nothing', async () => {
    const alone = machines[2];
    // One asks the member beside it, the other any member that it reaches.
    const doors = [alone.paths.kubeconfig('admin'), planes.startExternal(2)].map((kubeconfig) => {
      return { kubeconfig, seen: [] as string[], name: kubeconfig.split('/').at(-1) };
    });
    const [nsenter = '', ...within] = alone.network.enter;
    const watching = doors.map(async ({ kubeconfig, seen }) => {
      const ask = ['get', '--raw', '/readyz', '--kubeconfig', kubeconfig];
      await eventually('it serves', () => alone.kubectl(...ask, '--request-timeout=3s'));
      const words = ['get', 'configmaps', '-w', '-o', 'name', '--kubeconfig', kubeconfig];
      const child = spawn(nsenter, [...within, kubectlProgram(), ...words]);
      child.stdout.on('data', (data: Buffer) => {
        seen.push(...String(data).split('\n').filter(Boolean));
      });
      await eventually('the watch has begun', () => seen.length > 0);
      return child;
    });
    const watches = await Promise.all(watching);
    await alone.cable('down');
    const create = async (kubeconfig: string, name: string): Promise<boolean> => {
      const act = ['create', 'configmap', name, '--request-timeout=5s', '--kubeconfig', kubeconfig];
      return (await alone.tryKubectl(act, { acceptExitCodes: [0, 1] })).exitCode === 0;
    };
    try {
      const refusing = doors.map(async ({ kubeconfig, name }) => {
        let last = 0;
        await eventually(
          'it refuses writes',
          async () => !(await create(kubeconfig, `before-${name}-${last++}`)),
        );
      });
      await Promise.all(refusing);
      for (let i = 0; i < 10; i++) {
        await eventually('the others write', () =>
          through('create', 'configmap', `meanwhile-${i}`, '--request-timeout=10s'),
        );
      }
      const written = doors.map(({ kubeconfig, name }) => create(kubeconfig, `alone-${name}`));
      expect(await Promise.all(written)).toEqual([false, false]);
      expect(await configMaps()).not.toContain('alone-');
    } finally {
      await alone.cable('up');
    }
    const wanted = Array.from({ length: 10 }, (_, i) => `configmap/meanwhile-${i}`);
    for (const { seen, kubeconfig, name } of doors) {
      await eventually('the watch has seen all', () => wanted.every((one) => seen.includes(one)));
      expect(wanted.map((one) => seen.filter((other) => other === one).length)).toEqual(
        wanted.map(() => 1),
      );
      await eventually('it writes again', () => create(kubeconfig, `together-${name}`));
    }
    for (const watch of watches) watch.kill('SIGKILL');
    // A write that nobody acknowledged may be done when its member is back, but then it is so for all.
    for (const { kubeconfig } of doors) {
      expect(
        await alone.kubectl('get', 'configmaps', '-o', 'name', '--kubeconfig', kubeconfig),
      ).toBe(await configMaps());
    }
  }, 240_000);

  it('go on when the leader of etcd is killed, and when the leading scheduler is', async () => {
    const first = await planes.etcdLeader();
    await planes.kill(first, 'etcd', 'SIGKILL');
    await eventually('writes succeed', () => through('create', 'configmap', 'after-etcd'));
    expect(await planes.etcdLeader()).not.toBe(first);
    planes.start(first, 'etcd');
    // Identities begin with the host's name, which all of them share here: the whole one tells them apart.
    const before = await leader();
    for (const i of [0, 1, 2]) await planes.kill(i, 'scheduler', 'SIGKILL');
    planes.start(0, 'scheduler');
    await eventually('another leads', async () => (await leader()) !== before);
  });
});
