import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { localNodes } from '../../src/cluster/local-nodes.ts';
import { type ProcessStatus, statusFile } from '../../src/cluster/supervisor.ts';
import { run } from '../../src/host/exec.ts';
import { type Cluster, createCluster, K8TS, NODE_NAME } from '../support/cluster.ts';
import { DRILL_LIMIT_MS, drillRows } from '../support/drill.ts';
import { eventually } from '../support/eventually.ts';
import { list, service, webDeployment } from '../support/manifests.ts';

const WORKER = 'worker-1';

let cluster: Cluster;
beforeAll(async () => {
  cluster = await createCluster();
  // A disk of its own, small enough to be filled.
  mkdirSync(cluster.paths.store, { recursive: true, mode: 0o700 });
  await run('mount', ['-t', 'tmpfs', '-o', 'size=96m', 'tmpfs', cluster.paths.store]);
  await cluster.up('--nodes', '2');
});
afterAll(() => cluster.remove());

interface PodLine {
  metadata: { name: string };
  spec: { nodeName: string };
  status: { podIP: string; phase: string };
}

/** Two web servers, one on each node, behind a Service. */
async function spread(name: string): Promise<PodLine[]> {
  const deployment = webDeployment(name, 2) as {
    spec: { template: { spec: Record<string, unknown> } };
  };
  deployment.spec.template.spec.topologySpreadConstraints = [
    {
      maxSkew: 1,
      topologyKey: 'kubernetes.io/hostname',
      whenUnsatisfiable: 'DoNotSchedule',
      labelSelector: { matchLabels: { app: name } },
    },
  ];
  await cluster.apply(list(deployment, service(name)));
  await cluster.kubectl('rollout', 'status', `deployment/${name}`, '--timeout=120s');
  return (await cluster.get('pods', '-l', `app=${name}`)).items;
}

describe('a second node', () => {
  it('joins with a token, has a Pod range of its own, and a certificate that the cluster signed', async () => {
    const { items } = await cluster.get('nodes');
    const ranges = items.map(({ spec }: { spec: { podCIDR: string } }) => spec.podCIDR);
    expect(new Set(ranges).size).toBe(2);
    // The one to serve with comes after the node is Ready.
    await eventually('all requests of the node are approved and signed', async () => {
      const requests = (await cluster.get('csr')).items.filter(
        ({ spec }: { spec: { username: string } }) =>
          spec.username.includes(WORKER) || spec.username.startsWith('system:bootstrap:'),
      );
      for (const { status } of requests) {
        expect(status.conditions.map(({ type }: { type: string }) => type)).toEqual(['Approved']);
        expect(status.certificate).toBeTruthy();
      }
      return requests.length >= 2;
    });
    expect(await cluster.kubectl('get', 'nodes')).toMatch(
      new RegExp(`^${NODE_NAME} +Ready +control-plane `, 'm'),
    );
  });

  it('runs Pods that reach those of the first, and Services over both', async () => {
    const pods = await spread('both');
    expect(pods.map(({ spec }) => spec.nodeName).sort()).toEqual([NODE_NAME, WORKER]);
    const { spec } = await cluster.get('service', 'both');
    for (const { metadata } of pods) {
      const seen = new Set<string>();
      await eventually('both are seen through the Service', async () => {
        seen.add(
          await cluster.kubectl(
            ...['exec', metadata.name, '--', 'wget', '-q', '-O', '-', `http://${spec.clusterIP}/`],
          ),
        );
        return seen.size === 2;
      });
      for (const { status } of pods) {
        const url = `http://${status.podIP}:8080/`;
        expect(
          await cluster.kubectl('exec', metadata.name, '--', 'wget', '-q', '-O', '-', url),
        ).toMatch(/^both-/);
      }
    }
  });

  it(
    'that is switched off, or cut off, takes its own Pods only: they run elsewhere once it is NotReady, and it comes back',
    async () => {
      const [disk, node, network] = await drillRows(cluster, 'disk', 'node', 'network');
      // The store's disk is full meanwhile: nothing is written, and all that runs goes on.
      expect(disk).toMatchObject({ part: 'disk', pods: 'kept' });
      expect(disk?.service).toMatch(/^\d+ answers$/);
      expect(disk?.said).toContain('no space left on the disk of the store');
      expect(node).toMatchObject({ part: 'node', pods: 'kept' });
      expect(network).toMatchObject({ part: 'network', pods: 'kept' });
      expect(network?.said).toMatch(new RegExp(`^${WORKER} NotReady `));
    },
    DRILL_LIMIT_MS,
  );
});

describe('k8ts certs rotate-ca', () => {
  const worker = () => localNodes(cluster.paths, 2)[0]?.paths ?? cluster.paths;
  const pids = () => {
    const text = readFileSync(statusFile(worker().run), 'utf8');
    return (JSON.parse(text) as ProcessStatus[]).map(({ name, pid }) => `${name} ${pid}`);
  };

  it('reaches joined nodes, which get certificates of the new authority while everything runs', async () => {
    const before = pids();
    const authority = () => readFileSync(join(cluster.paths.pki, 'ca.crt'), 'utf8');
    const old = authority();
    await cluster.k8ts('certs', 'rotate-ca');
    expect(authority()).toContain(old);
    // It waits for the nodes.
    await cluster.k8ts('certs', 'rotate-ca', '--drop-old');
    expect(authority()).not.toContain(old);
    await eventually(
      'the node believes the new authority alone',
      async () => readFileSync(join(worker().pki, 'ca.crt'), 'utf8') === authority(),
    );
    const pods = await spread('rotated');
    for (const { metadata } of pods) {
      await eventually('the kubelet lets the API server in', () =>
        cluster.kubectl('exec', metadata.name, '--', 'true'),
      );
    }
    expect(pids()).toEqual(before);
  });
});

describe('k8ts join refuses, and says what to do,', () => {
  let server = '';
  let command: string[] = [];
  beforeAll(async () => {
    const { stdout } = await cluster.k8ts('token', 'create', '--print-join-command');
    command = stdout.trim().split(' ').slice(1);
    server = command[1] ?? '';
  });
  const replaced = (name: string, value: string) =>
    command.map((word, i) => (command[i - 1] === name ? value : word));
  const named = (name: string, ...words: string[]) => [...command, '--node-name', name, ...words];
  const cases: [string, () => string[], RegExp][] = [
    [
      'the name of a node that is well',
      () => named(WORKER),
      /has a node worker-1, and it is Ready: choose another name with --node-name/,
    ],
    [
      'an address of no interface',
      () => named('other', '--node-ip', '192.0.2.1'),
      /No interface of this machine has the address 192\.0\.2\.1; it has .*choose one with --node-ip/,
    ],
    [
      'a port that is taken',
      () => named('other'),
      /Port 6443 is taken by another program; stop that, or see which it is with: ss/,
    ],
    ['a token that is none', () => replaced('--token', 'abc'), /form abcdef\.0123456789abcdef/],
    [
      'a token that nobody knows',
      () => replaced('--token', 'aaaaaa.0123456789abcdef'),
      /does not know the token aaaaaa, or it has expired.*k8ts token create/,
    ],
    [
      'a token with another secret',
      () => replaced('--token', `${command[3]?.split('.')[0]}.0123456789abcdef`),
      /not signed with this token/,
    ],
    [
      'another authority',
      () => replaced('--ca-cert-hash', 'sha256:00'),
      /has the hash sha256:[0-9a-f]{64}, not the one given/,
    ],
    [
      'a closed port',
      () => command.map((word) => (word === server ? '127.0.0.1:1' : word)),
      /cannot be reached.*check the address/,
    ],
    [
      'an address that is none',
      () => command.map((word) => (word === server ? 'somewhere' : word)),
      /not HOST:PORT/,
    ],
  ];
  it.each(cases)('%s', async (_, words, message) => {
    const root = `${cluster.paths.root}/elsewhere`;
    const run = cluster.network.run(K8TS, [...words(), '--root', root], { acceptExitCodes: [1] });
    const { stderr } = await run;
    expect(stderr).toMatch(message);
  });

  it('a clock that is behind that of the cluster', async () => {
    // All machines here share one clock: the command is given another.
    const behind = 'const now = Date.now; Date.now = () => now() - 3600000;';
    const env = { NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(behind)}` };
    const words = [...named('other'), '--root', `${cluster.paths.root}/elsewhere`];
    const { stderr } = await cluster.network.run(K8TS, words, { env, acceptExitCodes: [1] });
    expect(stderr).toMatch(/The clock of this machine is 3[56]\d\d s behind that of .*set both/);
  });

  it('a token that has expired', async () => {
    const { stdout } = await cluster.k8ts('token', 'create', '--ttl', '1s');
    const root = `${cluster.paths.root}/elsewhere`;
    // The name is taken: while it is good it lets nobody in either.
    const words = [...replaced('--token', stdout.trim()), '--node-name', WORKER, '--root', root];
    await eventually('it is refused', async () => {
      const { stderr } = await cluster.network.run(K8TS, words, { acceptExitCodes: [1] });
      return /expired.*(make another with: k8ts token create|clocks)/.test(stderr);
    });
  });
});
