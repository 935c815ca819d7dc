import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { pathsUnder } from '../../src/cluster/paths.ts';
import { type Cluster, createCluster, NODE_NAME } from '../support/cluster.ts';
import { eventually } from '../support/eventually.ts';
import { list, service, webDeployment } from '../support/manifests.ts';

const WORKER = 'worker-1';

let cluster: Cluster;
beforeAll(async () => {
  cluster = await createCluster();
  await cluster.up('--nodes', '2', '--network', 'vxlan', '--disable', 'dns', 'metrics-server');
});
afterAll(() => cluster.remove());

interface PodLine {
  metadata: { name: string };
  spec: { nodeName: string };
  status: { podIP: string };
}

const web = async (): Promise<PodLine[]> => (await cluster.get('pods', '-l', 'app=web')).items;

/** Of what runs a node: component → process. */
function processes(root: string, names: readonly string[]): Record<string, number> {
  const { run } = pathsUnder(root);
  const pid = (name: string): number =>
    JSON.parse(readFileSync(join(run, `${name}.pid`), 'utf8')).pid;
  return Object.fromEntries(names.map((name) => [name, pid(name)]));
}

describe('two nodes with a tunnel between them', () => {
  it('carry packets of Pods, which are short enough for it', async () => {
    const deployment = webDeployment('web', 2) as {
      spec: { template: { spec: Record<string, unknown> } };
    };
    deployment.spec.template.spec.topologySpreadConstraints = [
      {
        maxSkew: 1,
        topologyKey: 'kubernetes.io/hostname',
        whenUnsatisfiable: 'ScheduleAnyway',
        labelSelector: { matchLabels: { app: 'web' } },
      },
    ];
    const budget = {
      apiVersion: 'policy/v1',
      kind: 'PodDisruptionBudget',
      metadata: { name: 'web' },
      spec: { minAvailable: 1, selector: { matchLabels: { app: 'web' } } },
    };
    await cluster.apply(list(deployment, service('web'), budget));
    await cluster.kubectl('rollout', 'status', 'deployment/web', '--timeout=120s');
    const pods = await web();
    expect(new Set(pods.map(({ spec }) => spec.nodeName)).size).toBe(2);
    const [one, two] = pods as [PodLine, PodLine];
    const url = `http://${two.status.podIP}:8080/`;
    const ask = ['exec', one.metadata.name, '--', 'wget', '-q', '-O', '-', url];
    expect(await eventually('it answers', () => cluster.kubectl(...ask))).toMatch(/^web-/);
    const routes = (await cluster.network.run('ip', ['route'])).stdout;
    expect(routes).toMatch(/^10\.244\.\d+\.0\/24 via 10\.244\.\d+\.0 dev k8ts-vxlan .*onlink/m);
    const link = await cluster.kubectl(
      'exec',
      one.metadata.name,
      '--',
      'ip',
      'link',
      'show',
      'eth0',
    );
    expect(link).toContain('mtu 1450');
  });
});

describe('k8ts upgrade', () => {
  it('replaces every process, node by node, and the Service answers all the while', async () => {
    const first = ['apiserver', 'controller-manager', 'scheduler', 'proxy', 'kubelet'];
    const other = join(cluster.paths.state, 'nodes', WORKER);
    const before = {
      ...processes(cluster.paths.root, first),
      worker: processes(other, ['balancer', 'proxy', 'kubelet']),
    };
    const url = `http://${(await cluster.get('service', 'web')).spec.clusterIP}/`;
    await eventually('the Service answers', () => cluster.fetch(url, 2));
    let isDone = false;
    const upgrading = cluster.k8ts('upgrade').finally(() => {
      isDone = true;
    });
    let asked = 0;
    const failed: unknown[] = [];
    while (!isDone) {
      asked++;
      await cluster.fetch(url, 10).catch((err) => failed.push(err));
    }
    const { stdout } = await upgrading;
    expect(stdout).toMatch(new RegExp(`Node ${NODE_NAME} runs the installed version`));
    expect(stdout).toMatch(new RegExp(`Node ${WORKER} runs the installed version`));
    expect(asked).toBeGreaterThan(10);
    expect(failed).toEqual([]);
    const after = {
      ...processes(cluster.paths.root, first),
      worker: processes(other, ['balancer', 'proxy', 'kubelet']),
    };
    for (const name of first) {
      expect(after[name as keyof typeof after]).not.toBe(before[name as keyof typeof before]);
    }
    for (const [name, pid] of Object.entries(after.worker)) {
      expect(pid).not.toBe(before.worker[name]);
    }
    const { items } = await cluster.get('nodes');
    for (const { spec } of items) expect(spec.unschedulable).toBeUndefined();
    await cluster.kubectl('rollout', 'status', 'deployment/web', '--timeout=120s');
  });
});
