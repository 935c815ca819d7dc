import { PODS } from '../../src/api/resource-types.ts';
import type { Pod } from '../../src/api/types.ts';
import { createClient } from '../../src/client/rest-client.ts';
import { run } from '../../src/host/exec.ts';
import { createCriRuntime } from '../../src/kubelet/runtime/cri.ts';
import type { ContainerConfig, PodSandboxConfig } from '../../src/kubelet/runtime/runtime.ts';
import { BUSYBOX_IMAGE } from '../../test/support/manifests.ts';
import { podOf, shell } from '../../test/support/pods.ts';
import { percentile, summary } from '../support/percentile.ts';
import { runningPods } from './running-pods.ts';

/** Kills the process of one container after another, each once: a second time the kubelet would wait. */
const PODS_KILLED = 40;
const namespace = 'default';
const [, , kubeconfig = '', socket = ''] = process.argv;
const client = await createClient(kubeconfig, { userAgent: 'bench' });
const runtime = createCriRuntime(`unix://${socket}`);

const drafts = Array.from({ length: PODS_KILLED }, (_, i) =>
  podOf(`victim-${i}`, [shell('main', 'sleep 3600')], { restartPolicy: 'Always' }),
);
const ids = new Map<string, string>();
for (const pod of await runningPods(client, drafts)) {
  ids.set(pod.metadata.name, runningId(pod) ?? '');
}
const pids = await pidsByContainer();
const restarts = await restartTimes();
const floor = await floorTimes();
console.log(`restart   ${summary(restarts)}   (p99 at most 1000 ms)`);
console.log(`floor     ${summary(floor)}   (create and start of a container by CRI)`);
console.log(`ratio     ${(percentile(restarts, 0.5) / percentile(floor, 0.5)).toFixed(1)} at p50`);
process.exit();

function runningId(pod: Pod): string | undefined {
  const [status] = pod.status?.containerStatuses ?? [];
  return status?.state?.running ? status.containerID?.replace(/^.*:\/\//, '') : undefined;
}

/** Container id → number of its first process, as `ctr tasks list` prints them. */
async function pidsByContainer(): Promise<Map<string, number>> {
  const args = ['--address', socket, '--namespace', 'k8s.io', 'tasks', 'list'];
  const rows = (await run('ctr', args)).stdout.trim().split('\n').slice(1);
  return new Map(rows.map((row) => row.split(/\s+/)).map(([id = '', pid]) => [id, Number(pid)]));
}

async function restartTimes(): Promise<number[]> {
  const stop = new AbortController();
  const killed = new Map<string, { at: number; seen: (ms: number) => void }>();
  const watching = (async () => {
    const events = client.watch(PODS, { namespace, resourceVersion: '' }, stop.signal);
    for await (const { object } of events) {
      const { name } = object.metadata;
      const id = runningId(object);
      if (!id || id === ids.get(name)) continue;
      const victim = killed.get(name);
      victim?.seen(performance.now() - victim.at);
    }
  })().catch(() => {});
  const times: number[] = [];
  for (const name of ids.keys()) {
    const { promise, resolve } = Promise.withResolvers<number>();
    const pid = pids.get(ids.get(name) ?? '');
    if (!pid) throw new Error(`No process of ${name} is known`);
    killed.set(name, { at: performance.now(), seen: resolve });
    process.kill(pid, 'SIGKILL');
    times.push(await promise);
  }
  stop.abort();
  await watching;
  return times;
}

async function floorTimes(): Promise<number[]> {
  const name = `floor-${process.pid}`;
  const namespaceOptions = { network: 'POD', pid: 'CONTAINER', ipc: 'POD' } as const;
  const context = {
    privileged: false,
    namespaceOptions,
    readonlyRootfs: false,
    supplementalGroups: [],
    supplementalGroupsPolicy: 'Merge' as const,
  };
  const sandbox: PodSandboxConfig = {
    metadata: { name, uid: name, namespace: 'bench', attempt: 0 },
    hostname: name,
    logDirectory: `/tmp/${name}`,
    portMappings: [],
    labels: {},
    annotations: {},
    linux: { cgroupParent: '/bench', securityContext: context, sysctls: {} },
  };
  const id = await runtime.runPodSandbox(sandbox, '');
  const times: number[] = [];
  for (let attempt = 0; attempt < 10; attempt++) {
    const config: ContainerConfig = {
      metadata: { name: 'main', attempt },
      image: { image: BUSYBOX_IMAGE },
      command: ['sleep', '3600'],
      args: [],
      workingDir: '',
      envs: [],
      mounts: [],
      devices: [],
      labels: {},
      annotations: {},
      logPath: `${attempt}.log`,
      stdin: false,
      stdinOnce: false,
      tty: false,
      linux: {
        resources: {},
        securityContext: { ...context, noNewPrivs: false, maskedPaths: [], readonlyPaths: [] },
      },
    };
    const begin = performance.now();
    await runtime.startContainer(await runtime.createContainer(id, config, sandbox));
    times.push(performance.now() - begin);
  }
  await runtime.stopPodSandbox(id);
  await runtime.removePodSandbox(id);
  await run('rm', ['-rf', `/tmp/${name}`]);
  return times;
}
