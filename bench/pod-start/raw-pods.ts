import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Pod } from '../../src/api/types.ts';
import { createCgroups } from '../../src/host/cgroups.ts';
import { containerConfig } from '../../src/kubelet/container-config.ts';
import { containerDevices } from '../../src/kubelet/devices/container-devices.ts';
import { containerResources, type NodeMemory } from '../../src/kubelet/resources.ts';
import { createCriRuntime } from '../../src/kubelet/runtime/cri.ts';
import type { Mount } from '../../src/kubelet/runtime/runtime.ts';
import { sandboxConfig } from '../../src/kubelet/sandbox-config.ts';
import { benchPods, type Figures, forgetOldGroups, KINDS, type Kind } from './pods.ts';

/**
 * The floor: the very CRI requests that the kubelet makes for these Pods, and nothing else. What they mount and the group
 * that they run in is there before the time begins. Arguments: containerd's socket, a directory (in memory) for logs and
 * files, the cgroup for the Pods. Prints Figures of each kind.
 */
const [, , socket = '', directory = '', cgroup = ''] = process.argv;
// Best parallelism differs with the machine, so several are tried and the best counts.
const PARALLEL = [2, 4, 8, 30];
const ONE_RUNS = 5;
// What every container is told of the API server's Service.
const SERVICE_ENV = new Map([
  ['KUBERNETES_SERVICE_HOST', '10.96.0.1'],
  ['KUBERNETES_SERVICE_PORT', '443'],
  ['KUBERNETES_SERVICE_PORT_HTTPS', '443'],
  ['KUBERNETES_PORT', 'tcp://10.96.0.1:443'],
  ['KUBERNETES_PORT_443_TCP', 'tcp://10.96.0.1:443'],
  ['KUBERNETES_PORT_443_TCP_PROTO', 'tcp'],
  ['KUBERNETES_PORT_443_TCP_PORT', '443'],
  ['KUBERNETES_PORT_443_TCP_ADDR', '10.96.0.1'],
]);

const cgroups = createCgroups();
const MEMORY: NodeMemory = {
  capacity: 2 ** 30,
  swap: { capacity: 0, limited: false, cgroupVersion: cgroups.version },
};
const runtime = createCriRuntime(`unix://${socket}`);
const all: Partial<Record<Kind, Figures>> = {};
for (const kind of KINDS) {
  const one: number[] = [];
  for (let i = 0; i < ONE_RUNS; i++) one.push(await timed(benchPods(kind, `one-${i}`, 1), 1));
  const thirty: number[] = [];
  for (const [i, parallel] of PARALLEL.entries()) {
    forgetOldGroups();
    await timed(benchPods(kind, `warm-${i}`, 1), 1);
    thirty.push(await timed(benchPods(kind, `thirty-${i}`, 30), parallel));
  }
  all[kind] = { one: median(one), thirty: Math.min(...thirty) };
}
runtime.close();
process.stdout.write(JSON.stringify(all));

async function timed(pods: readonly Pod[], parallel: number): Promise<number> {
  const sandboxes: string[] = [];
  try {
    const waiting: { pod: Pod; mounts: Mount[] }[] = [];
    for (const pod of pods) waiting.push({ pod, mounts: await prepare(pod) });
    const begin = performance.now();
    const worker = async () => {
      for (let next = waiting.pop(); next; next = waiting.pop()) {
        sandboxes.push(await startPod(next.pod, next.mounts));
      }
    };
    await Promise.all(Array.from({ length: parallel }, worker));
    return performance.now() - begin;
  } finally {
    for (const id of sandboxes) {
      await runtime.stopPodSandbox(id);
      await runtime.removePodSandbox(id);
    }
    for (const pod of pods) await cgroups.remove(groupOf(pod));
  }
}

function groupOf(pod: Pod): string {
  return join(cgroup, `pod${pod.metadata.uid}`);
}

/** What the kubelet mounts: hosts, a file for its last words, and volumes. */
async function prepare(pod: Pod): Promise<Mount[]> {
  await cgroups.ensure(groupOf(pod), { cpuShares: 2 });
  const files = join(directory, pod.metadata.name);
  mkdirSync(join(files, 'main'), { recursive: true });
  for (const name of ['hosts', 'last-words']) writeFileSync(join(files, name), '');
  const mount = (containerPath: string, hostPath: string, readonly = false): Mount => ({
    containerPath,
    hostPath,
    readonly,
  });
  return [
    ...makeVolumes(pod, files).map(({ at, path }) => mount(at, path, at.startsWith('/var'))),
    mount('/etc/hosts', join(files, 'hosts')),
    mount('/dev/termination-log', join(files, 'last-words')),
  ];
}

/** Empty directories where the kubelet's volumes would be, and where in the container they are seen. */
function makeVolumes({ spec }: Pod, files: string): { at: string; path: string }[] {
  const volumes = (spec?.containers[0]?.volumeMounts ?? []).map(({ name, mountPath }) => ({
    at: mountPath,
    path: join(files, name),
  }));
  const token = {
    at: '/var/run/secrets/kubernetes.io/serviceaccount',
    path: join(files, 'token'),
  };
  const all = spec?.automountServiceAccountToken === false ? volumes : [...volumes, token];
  for (const { path } of all) mkdirSync(path, { recursive: true });
  return all;
}

async function startPod(pod: Pod, mounts: Mount[]): Promise<string> {
  const [container] = pod.spec?.containers ?? [];
  if (!container) throw new Error('The benchmark makes Pods of one container');
  const sandbox = sandboxConfig(pod, {
    attempt: 0,
    cgroupParent: groupOf(pod),
    logDirectory: join(directory, pod.metadata.name),
    dns: { servers: ['10.96.0.10'], searches: ['default.svc.cluster.local'], options: ['ndots:5'] },
    clusterDomain: 'cluster.local',
  });
  const id = await runtime.runPodSandbox(sandbox, '');
  const config = containerConfig(pod, container, {
    attempt: 0,
    imageRef: container.image ?? '',
    env: SERVICE_ENV,
    mounts,
    devices: containerDevices([]),
    resources: containerResources(pod, container, MEMORY),
    seccompDefault: false,
  });
  const containerId = await runtime.createContainer(id, config, sandbox);
  await runtime.startContainer(containerId);
  return id;
}

function median(values: number[]): number {
  return values.sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;
}
