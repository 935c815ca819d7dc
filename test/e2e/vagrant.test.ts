import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { bootServers, type Server, type Servers } from '../support/containers.ts';
import { eventually } from '../support/eventually.ts';

// What `vagrant up` gives, without Vagrant: as many servers, with its networks, set up by the lines of the Vagrantfile.
const FILE = readFileSync(join(import.meta.dirname, '../../Vagrantfile'), 'utf8');
const found = (pattern: RegExp) => pattern.exec(FILE)?.[1] ?? '';
const NETWORK = found(/^NETWORK = '(.*)'/m);
const address = (number: number) => `${NETWORK}.${10 + number}`;
const MACHINES = [
  'k8ts',
  ...Array.from({ length: Number(found(/^WORKERS = (\d+)/m)) }, (_, i) => `worker-${i + 1}`),
];
const LIMIT_MS = 900_000;

/** The line by which a machine is set up. */
function line(role: 'server' | 'worker', number: number): string {
  const values: Record<string, string> = {
    token: 'abcdef.0123456789abcdef',
    SERVER: address(0),
    address: address(number),
  };
  const text = found(new RegExp(`^ +(/vagrant/deploy/vagrant.sh ${role} .*)$`, 'm'));
  return text.replace(/#\{(\w+)\}/g, (_, name: string) => values[name] ?? '?');
}

let set: Servers;
let server: Server;
let workers: readonly Server[];
beforeAll(async () => {
  set = await bootServers(MACHINES.map((name, i) => ({ name, address: address(i) })));
  [server, ...workers] = set.servers as [Server, ...Server[]];
  await server.shell(line('server', 0));
  await Promise.all(workers.map((worker, i) => worker.shell(line('worker', i + 1))));
}, LIMIT_MS);
afterAll(() => set?.remove());

const isActive = async (machine: Server) => {
  const { stdout } = await machine.run('systemctl', ['is-active', 'k8ts']);
  return stdout.trim();
};
const supervisor = async (machine: Server) =>
  (await machine.run('systemctl', ['show', '--property', 'MainPID', '--value', 'k8ts'])).stdout;
const readiness = async (name: string) =>
  server.kubectl(
    'get',
    'node',
    name,
    '-o',
    'jsonpath={.status.conditions[?(@.type=="Ready")].status}',
  );

/** What a cluster could leave behind, each in a line. */
async function traces(machine: Server): Promise<string> {
  const units = '/etc/systemd/system/{,multi-user.target.wants/}k8ts.service';
  const folders = '/{etc,run,var/lib,var/log}/k8ts /var/log/{pods,containers}';
  const found = await machine.run('bash', [
    '-c',
    [
      `ls -d ${units} ${folders} 2>/dev/null`,
      "pgrep --list-full '^(k8ts|containerd)'",
      'ip -brief link show type bridge',
      'iptables-save | grep -e KUBE- -e K8TS- -e CNI-',
      "find /sys/fs/cgroup -name '*kubepods*'",
      'true',
    ].join('; '),
  ]);
  return found.stdout;
}

describe('vagrant up', () => {
  it('gives a control plane and two workers, all Ready, which are known by their private addresses', async () => {
    const form =
      'jsonpath={range .items[*]}{.metadata.name} {.status.addresses[?(@.type=="InternalIP")].address}{"\\n"}{end}';
    const nodes = (await server.kubectl('get', 'nodes', '-o', form)).split('\n').sort();
    expect(nodes).toEqual(MACHINES.map((name, i) => `${name} ${address(i)}`));
    for (const name of MACHINES) expect(await readiness(name)).toBe('True');
    expect(
      await server.kubectl(
        'get',
        'nodes',
        '-l',
        'node-role.kubernetes.io/control-plane',
        '-o',
        'name',
      ),
    ).toBe('node/k8ts');
  });

  it('has the demo running, which answers from everywhere and can be spread over all', async () => {
    await server.kubectl('scale', 'deployment/web', '--replicas=9');
    await server.kubectl('rollout', 'status', 'deployment/web', '--timeout=240s');
    const form = 'jsonpath={range .items[*]}{.spec.nodeName} {.metadata.name}{"\\n"}{end}';
    const pods = (await server.kubectl('get', 'pods', '-l', 'app=web', '-o', form)).split('\n');
    expect(new Set(pods.map((pod) => pod.split(' ')[0]))).toEqual(new Set(MACHINES));
    const url = `http://${await server.kubectl('get', 'service', 'web', '-o', 'jsonpath={.spec.clusterIP}')}/`;
    for (const machine of set.servers) {
      const answered = new Set<string>();
      await eventually('Pods of all machines have answered', async () => {
        const { stdout } = await machine.run('curl', [
          '--silent',
          '--fail',
          '--max-time',
          '5',
          url,
        ]);
        const node = pods.find((pod) => pod.endsWith(` ${stdout.trim()}`))?.split(' ')[0];
        if (node !== undefined) answered.add(node);
        return answered.size === MACHINES.length;
      });
    }
  });

  it('changes nothing when it is done again', async () => {
    const before = await Promise.all(set.servers.map(supervisor));
    const uids = () => server.kubectl('get', 'nodes', '-o', 'jsonpath={.items[*].metadata.uid}');
    const nodes = await uids();
    await Promise.all([server.shell(line('server', 0)), workers[0]?.shell(line('worker', 1))]);
    expect(await uids()).toBe(nodes);
    expect(await Promise.all(set.servers.map(supervisor))).toEqual(before);
  });

  it('gives workers that are services of systemd, and are Ready again after a reboot', async () => {
    for (const worker of workers) expect(await isActive(worker)).toBe('active');
    const [worker] = workers as [Server];
    const off = await worker.reboot();
    await eventually('its kubelet tells of itself', async () => {
      const form = 'jsonpath={.spec.renewTime}';
      const lease = ['get', 'lease', '-n', 'kube-node-lease', 'worker-1', '-o', form];
      const renewed = Date.parse(await server.kubectl(...lease));
      return renewed > off && (await readiness('worker-1')) === 'True';
    });
    expect(await isActive(worker)).toBe('active');
  });
});

describe('k8ts leave', () => {
  it('takes a worker out: its service too, and all else that came with it', async () => {
    const worker = workers.at(-1) as Server;
    const name = MACHINES.at(-1) as string;
    expect(await worker.shell('k8ts leave')).toContain(`kubectl delete node ${name}`);
    expect(await traces(worker)).toBe('');
    await server.kubectl('delete', 'node', name);
    expect(await server.kubectl('get', 'nodes', '-o', 'name')).not.toContain(name);
  });
});

describe('deploy/action/start.sh', () => {
  it('gives a runner of GitHub a cluster, and the steps that follow the way to it', async () => {
    const runner = workers.at(-1) as Server;
    const files = ['ENV', 'OUTPUT', 'PATH'].map((name) => `GITHUB_${name}=/root/${name}`);
    await runner.shell(`${files.join(' ')} /vagrant/deploy/action/start.sh --nodes 2`);
    expect((await runner.run('cat', ['/root/OUTPUT'])).stdout).toMatch(/^kubeconfig=\//);
    const steps = [
      'export $(cat /root/ENV) PATH=$(cat /root/PATH):/usr/bin:/bin',
      'kubectl apply -f /vagrant/deploy/demo/web.yaml',
      'kubectl rollout status deployment/web --timeout=240s',
      'kubectl wait node --all --for=condition=Ready --timeout=240s',
    ];
    const said = await runner.shell(steps.join(' && '));
    expect(said).toContain('successfully rolled out');
    expect(said.match(/^node\/\S+ condition met$/gm)).toHaveLength(2);
  });
});

describe('k8ts upgrade', () => {
  it('replaces all that runs as a service, and the demo goes on', async () => {
    const before = await supervisor(server);
    await server.shell('k8ts upgrade --no-drain');
    await eventually('the service is another process', async () => {
      return (await isActive(server)) === 'active' && (await supervisor(server)) !== before;
    });
    await server.kubectl('rollout', 'status', 'deployment/web', '--timeout=240s');
    await eventually('it answers', async () => {
      const ip = await server.kubectl('get', 'service', 'web', '-o', 'jsonpath={.spec.clusterIP}');
      const { stdout } = await server.run('curl', [
        '--silent',
        '--fail',
        '--max-time',
        '5',
        `http://${ip}/`,
      ]);
      return stdout.startsWith('web-');
    });
  });
});

describe('deploy/down.sh --purge', () => {
  it('leaves the machine as it was before', async () => {
    await server.shell('/vagrant/deploy/down.sh --purge');
    expect(await traces(server)).toBe('');
  });
});
