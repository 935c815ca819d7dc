import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { totalmem } from 'node:os';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { NODE_NAME } from '../support/cluster.ts';
import { eventually } from '../support/eventually.ts';
import { shellPod } from '../support/manifests.ts';
import { sharedCluster } from '../support/shared-cluster.ts';
import { testNamespace } from '../support/test-namespace.ts';

const cluster = sharedCluster();
const ns = testNamespace(cluster, 'doors');
const door = (path: string, ...args: string[]) => {
  const pki = join(cluster.paths.pki, 'apiserver-kubelet-client');
  const identity = ['--insecure', '--silent', '--cert', `${pki}.crt`, '--key', `${pki}.key`];
  const url = `https://127.0.0.1:10250${path}`;
  return cluster.network.run('curl', [...identity, '--max-time', '20', ...args, url]);
};
const read = async (path: string) => (await door(path)).stdout;
const usedBy = (pod: { volume: { name: string; usedBytes: number }[] }, name: string) =>
  pod.volume.find((v) => v.name === name)?.usedBytes ?? 0;
const value = (text: string, metric: string, pod: string) =>
  Number(new RegExp(`^${metric}\\{[^}]*pod="${pod}"[^}]*\\} ([0-9.e+-]+)`, 'm').exec(text)?.[1]);

beforeAll(async () => {
  // Half a core, 30 MB of memory, 5 MB of disk in its own layer, 3 MB in an empty directory.
  const script =
    'dd if=/dev/zero of=/layer bs=1M count=5; dd if=/dev/zero of=/data/file bs=1M count=3; ' +
    'head -c 30000000 /dev/zero > /memory/file; while :; do :; done';
  const mounts = [
    { name: 'data', mountPath: '/data' },
    { name: 'memory', mountPath: '/memory' },
  ];
  const pod = shellPod('busy', script, {
    volumeMounts: mounts,
    resources: { limits: { cpu: '500m', memory: '100Mi' } },
  }) as { spec: { volumes?: object[] } };
  pod.spec.volumes = [
    { name: 'data', emptyDir: {} },
    { name: 'memory', emptyDir: { medium: 'Memory' } },
  ];
  await ns.apply(pod as never);
  await ns.kubectl('wait', '--for=condition=Ready', 'pod/busy', '--timeout=120s');
});

describe('/stats/summary', () => {
  it('tells what a Pod uses: processor, memory, disk, network', async () => {
    const pod = await eventually('its figures', async () => {
      const { pods } = JSON.parse(await read('/stats/summary'));
      const found = pods.find((p: { podRef: { name: string } }) => p.podRef.name === 'busy');
      const { cpu, memory } = found?.containers[0] ?? {};
      if (!cpu || !memory) return undefined;
      // It takes its time to write, each part is measured in its turn, and the processor has others to work for.
      const used = {
        // Half a core in the long run: between two readings that are near to each other it may have had a whole one.
        processor: cpu.usageNanoCores > 20e6 && cpu.usageNanoCores < 700e6,
        memory: memory.workingSetBytes > 29e6 && usedBy(found, 'memory') > 29e6,
        disk: usedBy(found, 'data') >= 3 * 2 ** 20,
      };
      if (Object.values(used).includes(false)) throw new Error(JSON.stringify({ used, found }));
      return found;
    });
    await eventually('the layer is measured', async () => {
      const { pods } = JSON.parse(await read('/stats/summary'));
      const now = pods.find((p: { podRef: { name: string } }) => p.podRef.name === 'busy');
      return (
        now.containers[0].rootfs.usedBytes >= 5 * 2 ** 20 &&
        now['ephemeral-storage'].usedBytes >= 8 * 2 ** 20
      );
    });
    expect(pod.network.name).toBe('eth0');
    // The one of its service account.
    const shown = pod.volume.find(({ name }: { name: string }) =>
      name.startsWith('kube-api-access-'),
    );
    expect(shown.usedBytes).toBeGreaterThan(0);
    expect(shown.usedBytes).toBeLessThan(1e6);
  });

  it('tells what the node has', async () => {
    const { node } = JSON.parse(await read('/stats/summary'));
    expect(node.nodeName).toBe(NODE_NAME);
    expect(node.cpu.usageNanoCores).toBeGreaterThan(0);
    expect(node.fs.capacityBytes).toBeGreaterThan(node.fs.availableBytes);
    expect(node.runtime.imageFs.usedBytes).toBeGreaterThan(0);
    const parts = node.systemContainers.map(({ name }: { name: string }) => name);
    expect(parts).toEqual(['kubelet', 'pods']);
    for (const { cpu, memory } of node.systemContainers) {
      expect(cpu.usageCoreNanoSeconds).toBeGreaterThan(0);
      expect(memory.workingSetBytes).toBeGreaterThan(0);
    }
    const light = JSON.parse(await read('/stats/summary?only_cpu_and_memory=true'));
    expect(light.node.fs).toBeUndefined();
    expect(light.node.memory.workingSetBytes).toBeGreaterThan(0);
  });
});

describe('the group of all Pods', () => {
  it('is bounded by what the machine has, and the node says so', async () => {
    const group = join(cluster.paths.cgroupRoot, 'kubepods');
    const [file = ''] = [
      join('/sys/fs/cgroup/memory', group, 'memory.limit_in_bytes'),
      join('/sys/fs/cgroup', group, 'memory.max'),
    ].filter(existsSync);
    expect(Number(readFileSync(file, 'utf8'))).toBe(totalmem());
    const described = await cluster.kubectl('describe', 'node', NODE_NAME);
    expect(described).toMatch(
      /Normal +NodeAllocatableEnforced .*Updated Node Allocatable limit across pods/,
    );
    const isOld = file.endsWith('limit_in_bytes');
    expect(/Warning +CgroupV1 .*cgroup v1 detected/.test(described)).toBe(isOld);
  });
});

describe('/metrics', () => {
  it('counts what the kubelet asks of the runtime', async () => {
    const text = await read('/metrics');
    expect(text).toMatch(
      /^kubelet_runtime_operations_total\{operation_type="run_podsandbox"\} \d+$/m,
    );
    expect(text).toMatch(/^kubelet_running_pods [1-9]/m);
    expect(text).toContain(`kubelet_node_name{node="${NODE_NAME}"} 1`);
  });

  it('/resource and /cadvisor grow with the work that is done', async () => {
    const metric = 'container_cpu_usage_seconds_total';
    for (const path of ['/metrics/resource', '/metrics/cadvisor']) {
      const before = value(await read(path), metric, 'busy');
      expect(before, path).toBeGreaterThan(0);
      await eventually(
        `more in ${path}`,
        async () => value(await read(path), metric, 'busy') > before,
      );
    }
    expect(await read('/metrics/resource')).toMatch(/^node_cpu_usage_seconds_total [\d.]+ \d+$/m);
  });

  it('/probes counts the runs of probes', async () => {
    const readinessProbe = { exec: { command: ['true'] }, periodSeconds: 1 };
    // Beside the one that is busy, who asks for nothing hardly gets a processor.
    const resources = { requests: { cpu: '100m' } };
    await ns.apply(shellPod('probed', 'sleep 3600', { readinessProbe, resources }));
    await eventually('a successful run', async () =>
      /prober_probe_total\{probe_type="Readiness",result="successful",[^}]*pod="probed"/.test(
        await read('/metrics/probes'),
      ),
    );
    await ns.kubectl('delete', 'pod', 'probed', '--now');
  });
});

describe('the other doors', () => {
  it('answer to their names', async () => {
    expect(await read('/healthz')).toBe('ok');
    expect(await read('/healthz/syncloop')).toBe('ok');
    expect(await read('/metrics/slis')).toContain(
      'kubernetes_healthcheck{name="syncloop",type="healthz"} 1',
    );
    const plain = 'http://127.0.0.1:10248/healthz';
    expect([await cluster.fetch(plain), await cluster.fetch(`${plain}/ping`)]).toEqual([
      'ok',
      'ok',
    ]);
    await expect(cluster.fetch(`${plain}/syncloop`)).rejects.toThrow('404');
    const { kubeletconfig } = JSON.parse(await read('/configz'));
    expect(kubeletconfig).toMatchObject({ containerLogMaxSize: '10Mi', maxPods: 110 });
    const names = JSON.parse(await read('/pods')).items.map(
      (p: { metadata: { name: string } }) => p.metadata.name,
    );
    expect(names).toContain('busy');
    const logs = `/api/v1/nodes/${NODE_NAME}/proxy/logs`;
    expect(await cluster.kubectl('get', '--raw', `${logs}/`)).toContain(
      '<a href="pods/">pods/</a>',
    );
    const uid = await ns.kubectl('get', 'pod', 'busy', '--output', 'jsonpath={.metadata.uid}');
    const directory = `pods/${ns.name}_busy_${uid}/main`;
    expect(await cluster.kubectl('get', '--raw', `${logs}/${directory}/`)).toContain('"0.log"');
    expect(await read(`/logs/${directory}/0.log`)).toMatch(/ stderr F .*records in/);
    const { stdout } = await door(
      `/run/${ns.name}/busy/main?cmd=echo%20hello`,
      '--request',
      'POST',
    );
    expect(stdout).toBe('hello\n');
  });

  it('open to a token only as far as its holder may go, and say by name what this runtime cannot do', async () => {
    const ask = async (account: string, path: string, ...more: string[]) => {
      const token = (await ns.kubectl('create', 'token', account)).trim();
      const args = ['--insecure', '--silent', '--header', `Authorization: Bearer ${token}`];
      const url = `https://127.0.0.1:10250${path}`;
      return (await cluster.network.run('curl', [...args, ...more, url])).stdout;
    };
    await ns.kubectl('create', 'serviceaccount', 'watcher');
    expect(await ask('watcher', '/metrics/resource')).toMatch(
      /^Forbidden \(user=system:serviceaccount:.*:watcher, verb=get, resource=nodes, .*metrics/,
    );
    await ns.kubectl('create', 'serviceaccount', 'reader');
    const resources = '--resource=nodes/metrics,nodes/checkpoint';
    await cluster.kubectl('create', 'clusterrole', 'doors', '--verb=get,create', resources);
    const account = `--serviceaccount=${ns.name}:reader`;
    await cluster.kubectl('create', 'clusterrolebinding', 'doors', '--clusterrole=doors', account);
    expect(await ask('reader', '/metrics/resource')).toContain('node_cpu_usage_seconds_total');
    const checkpoint = `/checkpoint/${ns.name}/busy/main`;
    expect(await ask('reader', checkpoint, '--request', 'POST')).toMatch(
      /checkpointing of .*\/busy\/main failed \(.*not implemented/,
    );
    await cluster.kubectl('delete', 'clusterrolebinding,clusterrole', 'doors');
  });
});

describe('a log', () => {
  // Nor does this one ask for anything.
  beforeAll(() => ns.kubectl('delete', 'pod', 'busy', '--now'));

  it('is rotated when it is large, and is read through the rotation', async () => {
    // 120,000 lines of 110 bytes and the engine's own 50 make 19 MB; then one more line when asked.
    const script =
      'i=0; line=$(printf "%100s" | tr " " x); while [ $i -lt 120000 ]; do echo $line $i; i=$((i+1)); done; ' +
      'while [ ! -e /tmp/more ]; do sleep 0.2; done; echo after; sleep 3600';
    await ns.apply(shellPod('chatty', script));
    await ns.kubectl('wait', '--for=condition=Ready', 'pod/chatty', '--timeout=120s');
    const { metadata } = await ns.get('pod', 'chatty');
    const directory = join(cluster.paths.podLogs, `${ns.name}_chatty_${metadata.uid}`, 'main');
    await eventually('a file that was moved aside', () => readdirSync(directory).length > 1);
    await ns.kubectl('exec', 'chatty', '--', 'touch', '/tmp/more');
    const lines = await eventually('the last line', async () => {
      const all = (await ns.kubectl('logs', 'chatty')).trimEnd().split('\n');
      return all.at(-1) === 'after' ? all : undefined;
    });
    expect(lines).toHaveLength(120_001);
    const numbers = lines.slice(0, -1).map((line) => Number(line.split(' ')[1]));
    expect(numbers.every((number, index) => number === index)).toBe(true);
    await ns.kubectl('delete', 'pod', 'chatty', '--now');
  });
});
