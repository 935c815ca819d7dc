import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Pod } from '../../src/api/types.ts';
import { containerConfig } from '../../src/kubelet/container-config.ts';
import { containerDevices } from '../../src/kubelet/devices/container-devices.ts';
import { createCriRuntime } from '../../src/kubelet/runtime/cri.ts';
import type { ContainerRuntime } from '../../src/kubelet/runtime/runtime.ts';
import { sandboxConfig } from '../../src/kubelet/sandbox-config.ts';
import { benchPods } from './pods.ts';

/**
 * The floor: the very CRI requests that the kubelet would make for these Pods, and nothing else. Arguments: containerd's
 * socket, a directory for logs, the cgroup for the Pods. Prints milliseconds: {one, thirty}.
 */
const [, , socket = '', logs = '', cgroup = ''] = process.argv;
// Best parallelism differs with the machine, so several are tried and the best counts.
const PARALLEL = [2, 4, 8, 30];
const ONE_RUNS = 5;

const runtime = createCriRuntime(`unix://${socket}`);
const one: number[] = [];
for (let i = 0; i < ONE_RUNS; i++) one.push(await timed(`one-${i}`, 1, 1));
const thirty: number[] = [];
for (const parallel of PARALLEL) thirty.push(await timed(`p${parallel}`, 30, parallel));
runtime.close();
process.stdout.write(JSON.stringify({ one: median(one), thirty: Math.min(...thirty) }));

async function timed(prefix: string, count: number, parallel: number): Promise<number> {
  const waiting = benchPods(prefix, count);
  const sandboxes: string[] = [];
  const begin = performance.now();
  const worker = async () => {
    for (let pod = waiting.pop(); pod; pod = waiting.pop()) {
      sandboxes.push(await startPod(runtime, pod));
    }
  };
  await Promise.all(Array.from({ length: parallel }, worker));
  const ms = performance.now() - begin;
  for (const id of sandboxes) {
    await runtime.stopPodSandbox(id);
    await runtime.removePodSandbox(id);
  }
  return ms;
}

async function startPod(cri: ContainerRuntime, pod: Pod): Promise<string> {
  const logDirectory = join(logs, pod.metadata.name);
  mkdirSync(join(logDirectory, 'main'), { recursive: true });
  const [container] = pod.spec?.containers ?? [];
  if (!container) throw new Error('The benchmark makes Pods of one container');
  const sandbox = sandboxConfig(pod, {
    attempt: 0,
    cgroupParent: cgroup,
    logDirectory,
    dns: { servers: [], searches: [], options: [] },
    clusterDomain: 'cluster.local',
  });
  const id = await cri.runPodSandbox(sandbox, '');
  const facts = {
    attempt: 0,
    imageRef: container.image ?? '',
    env: new Map<string, string>(),
    mounts: [],
    devices: containerDevices([]),
    resources: {},
    seccompDefault: false,
  };
  const config = containerConfig(pod, container, facts);
  const containerId = await cri.createContainer(id, config, sandbox);
  await cri.startContainer(containerId);
  return id;
}

function median(values: number[]): number {
  return values.sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;
}
