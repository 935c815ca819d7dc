import { existsSync, readdirSync, readFileSync, rmdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { podCgroups } from '../../src/cluster/pod-processes.ts';
import { mountPoints } from '../../src/cluster/purge.ts';
import { run } from '../../src/host/exec.ts';
import {
  commandLineOf,
  identifyProcess,
  listProcesses,
  signalProcess,
} from '../../src/host/processes.ts';
import { componentPid } from '../support/component-pid.ts';
import { eventually } from '../support/eventually.ts';
import { list, service, webDeployment } from '../support/manifests.ts';
import { sharedCluster } from '../support/shared-cluster.ts';
import { testNamespace } from '../support/test-namespace.ts';

const cluster = sharedCluster();
const ns = testNamespace(cluster, 'failures');

interface Row {
  name: string;
  state: string;
  pid: number;
}

/** What `k8ts status` says. */
async function processes(): Promise<Row[]> {
  const { stdout } = await cluster.network.run(
    new URL('../../bin/k8ts', import.meta.url).pathname,
    ['status', '--root', cluster.paths.root],
    { acceptExitCodes: [0, 1] },
  );
  return stdout
    .split('\n')
    .slice(1)
    .map((line) => line.split(/ {2,}/))
    .filter((cells) => cells.length > 3)
    .map(([name = '', state = '', pid = '']) => ({ name, state, pid: Number(pid) }));
}

/** Identity of the containers that run: what must not change when a component dies. */
async function containers(): Promise<string[]> {
  const { items } = await ns.get('pods', '-l', 'app=steady');
  return items
    .map(
      (pod: { status: { containerStatuses: { containerID: string; restartCount: number }[] } }) => {
        const [status] = pod.status.containerStatuses;
        return `${status?.containerID} ${status?.restartCount}`;
      },
    )
    .sort();
}

describe('kill -9', () => {
  let url = '';
  let before: string[] = [];
  beforeAll(async () => {
    await ns.apply(list(webDeployment('steady', 2), service('steady')));
    await ns.kubectl('rollout', 'status', 'deployment/steady', '--timeout=120s');
    url = `http://${(await ns.get('service', 'steady')).spec.clusterIP}/`;
    await eventually('the Service answers', () => cluster.fetch(url));
    before = await containers();
  });

  it.each(['apiserver', 'controller-manager', 'scheduler', 'kubelet', 'proxy', 'containerd'])(
    'of %s leaves containers and Services alone; it comes back, and the cluster works',
    async (name) => {
      const victim = await componentPid(cluster, name);
      signalProcess(victim, 'SIGKILL');
      expect(await cluster.fetch(url)).toMatch(/^steady-/);
      await eventually(
        `${name} is running again`,
        async () => (await componentPid(cluster, name)) !== victim,
      );
      expect(await cluster.fetch(url)).toMatch(/^steady-/);
      // The whole chain works again: a new Deployment gets Pods, and they serve.
      const probe = `after-${name}`;
      await eventually('objects can be written', () =>
        ns.apply(list(webDeployment(probe, 1), service(probe))),
      );
      await ns.kubectl('rollout', 'status', `deployment/${probe}`, '--timeout=120s');
      const { spec } = await ns.get('service', probe);
      await eventually('its Service answers', () => cluster.fetch(`http://${spec.clusterIP}/`, 2));
      expect(await containers()).toEqual(before);
      await ns.kubectl('delete', `deployment/${probe}`, `service/${probe}`);
    },
  );

  it('of the API server loses nothing that was acknowledged', async () => {
    const acknowledged: string[] = [];
    const writer = (async () => {
      for (let i = 0; i < 200; i++) {
        const { exitCode } = await cluster.tryKubectl(
          ['-n', ns.name, 'create', 'configmap', `kept-${i}`, '--request-timeout=5s'],
          { acceptExitCodes: [0, 1] },
        );
        if (exitCode === 0) acknowledged.push(`kept-${i}`);
        else return;
      }
    })();
    await eventually('some writes', () => acknowledged.length > 5);
    signalProcess(await componentPid(cluster, 'apiserver'), 'SIGKILL');
    await writer;
    const names = await eventually('the API server is back', async () => {
      const { items } = await ns.get('configmaps');
      return items.map((item: { metadata: { name: string } }) => item.metadata.name) as string[];
    });
    expect(names).toEqual(expect.arrayContaining(acknowledged));
  });

  it('of the supervisor stops nothing, and the next up adopts what runs', async () => {
    // One that was led by the API server that was killed a moment ago may end and come back.
    const components = await eventually('all run', async () => {
      const all = await processes();
      return all.every(({ state }) => state === 'running') ? all : undefined;
    });
    const record = await cluster.network.run('cat', [`${cluster.paths.run}/supervisor.pid`]);
    signalProcess(JSON.parse(record.stdout).pid, 'SIGKILL');
    expect(await cluster.fetch(url)).toMatch(/^steady-/);
    await cluster.kubectl('get', '--raw', '/readyz');
    await cluster.up();
    await eventually('the same processes', async () => {
      const now = await processes();
      return now.length === components.length && now.every(({ state }) => state === 'running');
    });
    expect(await processes()).toEqual(components);
    expect(await containers()).toEqual(before);
  });
});

describe('a stop and start of everything', () => {
  beforeAll(async () => {
    await ns.apply(list(webDeployment('returning', 2), service('returning')));
    await ns.kubectl('rollout', 'status', 'deployment/returning', '--timeout=120s');
  });
  // Later files find a cluster that works.
  afterAll(() => cluster.up());
  const uids = async () => {
    const { items } = await ns.get('pods', '-l', 'app=returning');
    return items.map((pod: { metadata: { uid: string } }) => pod.metadata.uid).sort() as string[];
  };
  const ids = async () => {
    const { items } = await ns.get('pods', '-l', 'app=returning');
    return items
      .map(
        (pod: { status: { containerStatuses: { containerID: string }[] } }) =>
          pod.status.containerStatuses[0]?.containerID,
      )
      .sort() as string[];
  };

  it('that keeps the Pods adopts their containers', async () => {
    const before = { uids: await uids(), ids: await ids() };
    await cluster.k8ts('down', '--keep-pods');
    await cluster.up();
    await ns.kubectl('rollout', 'status', 'deployment/returning', '--timeout=120s');
    expect({ uids: await uids(), ids: await ids() }).toEqual(before);
  });

  it('that stops the Pods runs them again, under the same names and Service', async () => {
    const before = { uids: await uids(), ids: await ids() };
    await cluster.k8ts('down');
    await cluster.up();
    await eventually('new containers of the same Pods are ready', async () => {
      const { status } = await ns.get('deployment', 'returning');
      return status.readyReplicas === 2 && (await ids()).every((id) => !before.ids.includes(id));
    });
    expect(await uids()).toEqual(before.uids);
    const { spec } = await ns.get('service', 'returning');
    expect(
      await eventually('it answers', () => cluster.fetch(`http://${spec.clusterIP}/`, 2)),
    ).toMatch(/^returning-/);
  });

  it('after a power cut runs them again: every process gone at once, and all that lived in memory', async () => {
    const before = { uids: await uids(), ids: await ids() };
    await cutPower();
    await cluster.up();
    await eventually('new containers of the same Pods are ready', async () => {
      const { status } = await ns.get('deployment', 'returning');
      return status.readyReplicas === 2 && (await ids()).every((id) => !before.ids.includes(id));
    });
    expect(await uids()).toEqual(before.uids);
    const { spec } = await ns.get('service', 'returning');
    expect(
      await eventually('it answers', () => cluster.fetch(`http://${spec.clusterIP}/`, 2)),
    ).toMatch(/^returning-/);
  });
});

/** What a reset does to a node: no process ends in order; /run, mounts, devices and rules are gone, disks stay. */
async function cutPower(): Promise<void> {
  const { paths, network } = cluster;
  const pidFiles = readdirSync(paths.run).filter((name) => name.endsWith('.pid'));
  const ours = listProcesses().filter((pid) => commandLineOf(pid).join(' ').includes(paths.root));
  const groups = podCgroups(paths);
  const inPods = groups.flatMap((group) =>
    readFileSync(join(group, 'cgroup.procs'), 'utf8').split('\n').filter(Boolean).map(Number),
  );
  expect(pidFiles).not.toEqual([]);
  for (const pid of [...ours, ...inPods]) signalProcess(pid, 'SIGKILL');
  await eventually('all are dead', () =>
    [...ours, ...inPods].every((pid) => identifyProcess(pid) === undefined),
  );
  const mounts = mountPoints(readFileSync('/proc/self/mountinfo', 'utf8'));
  for (const point of mounts.reverse().filter((path) => path.startsWith(`${paths.root}/`))) {
    await run('umount', ['--lazy', point]);
  }
  rmSync(paths.run, { recursive: true });
  for (const group of groups.filter(existsSync)) rmdirSync(group);
  await network.run('ip', ['link', 'delete', 'cni0']);
  await network.run('iptables-restore', [], { input: '*nat\nCOMMIT\n*filter\nCOMMIT\n' });
}
