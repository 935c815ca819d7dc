import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { DRILL_LIMIT_MS, drillRows } from '../support/drill.ts';
import { eventually } from '../support/eventually.ts';
import { createMachines, type Machine, type Machines } from '../support/machines.ts';
import { webDeployment } from '../support/manifests.ts';

// Three control planes that have joined one after the other, and a worker, each in a network namespace of its own.
// What they do when parts of them are cut off or die is in test/integration/control-planes.test.ts.
const DISABLED = ['--disable', 'dns', 'metrics-server'];
let set: Machines;
let cp: [Machine, Machine, Machine];

beforeAll(async () => {
  set = await createMachines(['cp-1', 'cp-2', 'cp-3', 'worker']);
  cp = set.machines.slice(0, 3) as [Machine, Machine, Machine];
  await cp[0].named('up', '--detach', '--etcd', 'stacked', ...DISABLED);
  for (const machine of cp.slice(1)) {
    const words = ['token', 'create', '--control-plane', '--print-join-command'];
    await machine.join((await cp[0].k8ts(...words)).stdout);
  }
  // As deploy/vagrant.sh lets its workers in.
  const worker = set.machines[3] as Machine;
  const token = 'abcdef.0123456789abcdef';
  await cp[0].k8ts('token', 'create', token, '--ttl', '0');
  const trust = '--discovery-token-unsafe-skip-ca-verification';
  await worker.named('join', `${cp[0].ip}:6443`, '--token', token, trust, '--node-ip', worker.ip);
}, 600_000);

afterAll(() => set?.remove());

interface Named {
  metadata: { name: string };
}

/** Names of the members of etcd that have a vote. */
const votes = async (machine: Machine): Promise<string[]> => {
  const pki = join(machine.paths.pki, 'etcd');
  const credentials = [
    ...['--cacert', join(pki, 'ca.crt'), '--cert', join(pki, 'healthcheck-client.crt')],
    ...['--key', join(pki, 'healthcheck-client.key')],
  ];
  const env = { ETCDCTL_API: '3' };
  const { stdout } = await machine.network.run('etcdctl', [...credentials, 'member', 'list'], {
    env,
  });
  const lines = stdout
    .trim()
    .split('\n')
    .map((line) => line.split(', '));
  return lines
    .filter((cells) => cells[1] === 'started' && cells[5] === 'false')
    .map((cells) => cells[2] ?? '')
    .sort();
};

const apiServers = async (machine: Machine): Promise<string[]> => {
  const { subsets } = await machine.get('endpoints', 'kubernetes');
  return subsets[0].addresses.map(({ ip }: { ip: string }) => ip);
};

const nodeNames = async (machine: Machine): Promise<string[]> =>
  (await machine.get('nodes')).items.map(({ metadata }: Named) => metadata.name);

describe('three control planes', () => {
  it('are nodes of one cluster, members of one etcd, and all in the Service kubernetes', async () => {
    const { items } = await cp[2].get('nodes', '-l', 'node-role.kubernetes.io/control-plane');
    expect(items.map(({ metadata }: Named) => metadata.name)).toEqual(['cp-1', 'cp-2', 'cp-3']);
    expect(await votes(cp[1])).toEqual(['cp-1', 'cp-2', 'cp-3']);
    await eventually('all are in the Service', async () => (await apiServers(cp[1])).length === 3);
    expect(await cp[2].kubectl('get', 'node', 'worker')).toMatch(/worker +Ready/);
  });

  it(
    'go on without the etcd of one',
    async () => {
      const [row] = await drillRows(cp[1], 'etcd');
      expect(row).toMatchObject({ part: 'etcd', pods: 'kept' });
      expect(row?.service).toMatch(/^\d+ answers$/);
    },
    DRILL_LIMIT_MS,
  );

  it('share their authorities only in an encrypted form', async () => {
    const secret = await cp[0].get('secret', '-n', 'kube-system', 'kubeadm-certs');
    const sealed = Buffer.from(secret.data['ca.key'], 'base64').toString('latin1');
    expect(sealed).not.toContain('PRIVATE KEY');
    expect(readFileSync(join(cp[2].paths.pki, 'ca.key'), 'utf8')).toContain('PRIVATE KEY');
  });

  it('take a new authority over from the one where it was made, and drop the old one from another', async () => {
    const authority = ({ paths }: Machine) => readFileSync(join(paths.pki, 'ca.crt'), 'utf8');
    const all = (wanted: string) => set.machines.every((machine) => authority(machine) === wanted);
    const old = authority(cp[0]);
    const { stdout } = await cp[0].k8ts('certs', 'rotate-ca');
    expect(stdout).toContain('Both authorities are believed now');
    expect(stdout).not.toContain('have no certificate');
    const both = authority(cp[0]);
    expect(both).not.toBe(old);
    expect(both.endsWith(old)).toBe(true);
    await eventually('all believe both', async () => all(both));
    // It waits until nobody needs the old one.
    await cp[1].k8ts('certs', 'rotate-ca', '--drop-old');
    const left = authority(cp[1]);
    expect(both).toBe(left + old);
    await eventually('all believe the new one alone', async () => all(left));
    await eventually('all administrators are known', async () => {
      for (const [i, machine] of cp.entries()) {
        await machine.kubectl('create', 'configmap', `rotated-${i}`, '--dry-run=server');
      }
      return true;
    });
  });

  it('go on without the first: the worker too, and another scheduler places Pods', async () => {
    const renewed = async () =>
      Date.parse((await cp[1].get('lease', '-n', 'kube-node-lease', 'worker')).spec.renewTime);
    await cp[0].k8ts('down', '--keep-pods');
    try {
      const before = await renewed();
      await eventually('the worker renews its lease', async () => (await renewed()) > before);
      // The machine that is down still counts as Ready for a while, but nobody would start a Pod there.
      const deployment = webDeployment('placed', 1) as {
        spec: { template: { spec: Record<string, unknown> } };
      };
      deployment.spec.template.spec.nodeSelector = { 'kubernetes.io/hostname': 'worker' };
      await eventually('objects can be written', () => cp[1].apply(deployment));
      await cp[1].kubectl('rollout', 'status', 'deployment/placed', '--timeout=120s');
      await eventually('the first is out of the Service', async () => {
        return !(await apiServers(cp[1])).includes(cp[0].ip);
      });
    } finally {
      await cp[0].k8ts('up', '--detach');
    }
    await eventually('all are back', async () => (await apiServers(cp[1])).length === 3);
  });

  it(
    'become two when one leaves',
    async () => {
      await cp[2].k8ts('leave');
      expect(await votes(cp[0])).toEqual(['cp-1', 'cp-2']);
      await eventually(
        'its API server is gone',
        async () => (await apiServers(cp[0])).length === 2,
      );
      expect(await nodeNames(cp[0])).toEqual(['cp-1', 'cp-2', 'worker']);
      await cp[1].kubectl('create', 'configmap', 'two-are-enough');
      // But none can be spared: the drill takes one away.
      const [row] = await drillRows(cp[1], 'etcd-quorum');
      expect(row).toMatchObject({ part: 'etcd-quorum', pods: 'kept' });
      expect(row?.service).toMatch(/^\d+ answers$/);
      expect(row?.said).not.toContain('created');
      // What was left out at the first start stayed so at the second, long ago by now.
      expect(await cp[0].kubectl('get', 'deployments', '-n', 'kube-system')).toBe('');
    },
    DRILL_LIMIT_MS,
  );
});
