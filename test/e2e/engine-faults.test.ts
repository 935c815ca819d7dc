import { existsSync, lstatSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { signalProcess } from '../../src/host/processes.ts';
import { NODE_NAME, startCluster } from '../support/cluster.ts';
import { componentPid } from '../support/component-pid.ts';
import { type CriProxy, type Fault, stepBetween } from '../support/cri-proxy.ts';
import { eventually } from '../support/eventually.ts';
import { tracesOfGonePods } from '../support/pod-traces.ts';
import { podOf, shell } from '../support/pods.ts';
import { testNamespace } from '../support/test-namespace.ts';

// Not the one that tests share: a containerd that is killed again and again is what k8ts doctor complains of.
const cluster = await startCluster();
afterAll(() => cluster.remove());
const ns = testNamespace(cluster, 'engine-faults');
const { socket } = cluster.paths.containerd;
const ready = (name: string) =>
  ns.kubectl('wait', '--for=condition=Ready', `pod/${name}`, '--timeout=120s');

/** The calls of one Pod's life, in its order: up to readiness, and after its deletion. */
const RISE = ['RunPodSandbox', 'PodSandboxStatus', 'CreateContainer', 'StartContainer', 'ExecSync'];
const FALL = ['StopContainer', 'StopPodSandbox', 'RemovePodSandbox'];
// Each end of containerd makes its supervisor wait longer, and so does the kubelet. All steps: K8TS_ALL_STEPS=1.
const COSTLY = ['RunPodSandbox', 'CreateContainer', 'StartContainer', 'StopPodSandbox'];
const chosen = (methods: readonly string[]): string[] =>
  methods.filter((one) => process.env.K8TS_ALL_STEPS !== undefined || COSTLY.includes(one));

let proxy: CriProxy;
let witness: string;

beforeAll(async () => {
  proxy = await stepBetween(socket);
  // The one that runs is connected to the engine itself.
  signalProcess(await componentPid(cluster, 'kubelet'), 'SIGKILL');
  await ns.apply(podOf('witness', [shell('main', 'sleep 3600')]));
  await ready('witness');
  witness = await containerOf('witness');
});

afterAll(async () => {
  signalProcess(await componentPid(cluster, 'kubelet'), 'SIGCONT');
  signalProcess(await componentPid(cluster, 'containerd'), 'SIGCONT');
  await proxy.remove();
});

async function containerOf(pod: string): Promise<string> {
  const { status } = await ns.get('pod', pod);
  expect(status.containerStatuses[0].restartCount).toBe(0);
  return status.containerStatuses[0].containerID;
}

/** A Pod lives and dies, and each of these calls meets its fault; nothing of it is left then. */
async function life(name: string, rise: readonly Fault[], fall: readonly Fault[]): Promise<void> {
  const rising = rise.map((fault) => proxy.next(fault));
  const readinessProbe = { exec: { command: ['true'] }, periodSeconds: 1 };
  // What follows a start is done even if the start's answer was lost.
  const lifecycle = { postStart: { exec: { command: ['touch', '/hooked'] } } };
  await ns.apply(podOf(name, [shell('main', 'sleep 3600', { readinessProbe, lifecycle })]));
  await Promise.all(rising);
  await ready(name);
  await ns.kubectl('exec', name, '--', 'test', '-e', '/hooked');
  const falling = fall.map((fault) => proxy.next(fault));
  await ns.kubectl('delete', 'pod', name, '--wait=false');
  await Promise.all(falling);
  await ns.kubectl('wait', '--for=delete', `pod/${name}`, '--timeout=120s');
  await eventually('no trace is left', async () => {
    const traces = await tracesOfGonePods(cluster);
    if (traces.length > 0) throw new Error(traces.join('\n'));
    return true;
  });
  // The other Pod went on.
  expect(await containerOf('witness')).toBe(witness);
}

describe('an engine that', () => {
  it('hangs at each step delays it, while the kubelet goes on to answer', async () => {
    const hang = (method: string): Fault => ({
      method,
      async before() {
        const pid = await componentPid(cluster, 'containerd');
        signalProcess(pid, 'SIGSTOP');
        try {
          const pods = `/api/v1/nodes/${NODE_NAME}/proxy/pods`;
          expect(await cluster.kubectl('get', '--raw', pods)).toContain('"witness"');
        } finally {
          signalProcess(pid, 'SIGCONT');
        }
      },
    });
    await life('hung', RISE.map(hang), FALL.map(hang));
  });

  it('does each step but is cut off before it says so has it done once', async () => {
    const lose = (method: string): Fault => ({ method, losesAnswer: true });
    await life('unheard', chosen(RISE).map(lose), chosen(FALL).map(lose));
  });

  it('dies at each step does it when it is back', async () => {
    const kill = (method: string): Fault => ({ method, before: restartEngine });
    await life('killed', chosen(RISE).map(kill), chosen(FALL).map(kill));
  });
});

/** Kills containerd and waits for the next one; the kubelet, stopped meanwhile, can reach it through the proxy alone. */
async function restartEngine(): Promise<void> {
  const kubelet = await componentPid(cluster, 'kubelet');
  signalProcess(kubelet, 'SIGSTOP');
  const { ino } = lstatSync(socket);
  signalProcess(await componentPid(cluster, 'containerd'), 'SIGKILL');
  await eventually(
    'the next engine listens',
    () => existsSync(socket) && lstatSync(socket).ino !== ino,
  );
  proxy.again();
  signalProcess(kubelet, 'SIGCONT');
}
