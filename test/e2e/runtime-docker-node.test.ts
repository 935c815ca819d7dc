import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { pathsUnder } from '../../src/cluster/paths.ts';
import { run, type StartedProcess, start } from '../../src/host/exec.ts';
import { openRuntime } from '../../src/kubelet/open-runtime.ts';
import type { EngineUnderTest } from '../../src/kubelet/runtime/runtime.contract.ts';
import { K8TS, kubectlProgram } from '../support/cluster.ts';
import { type ControlPlane, startControlPlane } from '../support/control-plane.ts';
import { startDraDriver } from '../support/dra-driver.ts';
import { type EngineFlags, startDocker } from '../support/engines.ts';
import { eventually } from '../support/eventually.ts';
import { freePort } from '../support/free-port.ts';
import { BUSYBOX_IMAGE } from '../support/manifests.ts';
import { podOf, shell } from '../support/pods.ts';

const NODE = 'docker-node';
let plane: ControlPlane;
let engine: EngineUnderTest & EngineFlags;
let kubelet: StartedProcess | undefined;
let root = '';

beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), 'k8ts-docker-node-'));
  [plane, engine] = await Promise.all([startControlPlane({ controllers: true }), startDocker()]);
  writeFileSync(join(root, 'kubelet.json'), JSON.stringify(await configuration()));
  startKubelet();
  await kubectl('wait', '--for=create', `node/${NODE}`, '--timeout=120s');
  await kubectl('wait', '--for=condition=Ready', `node/${NODE}`, '--timeout=120s');
});
afterAll(async () => {
  // What still runs would keep the engine from ending.
  await kubectl('delete', 'pods', '--all', '--now', '--timeout=120s').catch(() => {});
  await endKubelet('SIGTERM');
  await engine?.stop();
  await plane?.stop();
  await unmountMemory();
  rmSync(root, { recursive: true, force: true });
});

async function configuration(): Promise<object> {
  const { pki, kubelet: state } = pathsUnder(plane.root);
  mkdirSync(join(root, 'logs'));
  return {
    apiVersion: 'kubelet.config.k8s.io/v1beta1',
    kind: 'KubeletConfiguration',
    authentication: { x509: { clientCAFile: join(pki, 'ca.crt') } },
    cgroupRoot: engine.cgroupParent,
    clusterDNS: ['10.96.0.10'],
    clusterDomain: 'cluster.local',
    failSwapOn: false,
    healthzPort: await freePort(),
    podLogsDir: join(root, 'logs', 'pods'),
    port: await freePort(),
    tlsCertFile: join(state, 'pki', 'kubelet.crt'),
    tlsPrivateKeyFile: join(state, 'pki', 'kubelet.key'),
  };
}

function startKubelet(): void {
  const flags = [
    `--kubeconfig=${plane.kubeconfig}`,
    `--config=${join(root, 'kubelet.json')}`,
    `--hostname-override=${NODE}`,
    '--node-ip=127.0.0.1',
    `--root-dir=${join(root, 'state')}`,
  ];
  const logFile = join(root, 'kubelet.log');
  kubelet = start(K8TS, ['kubelet', ...flags, ...engine.flags], { logFile });
}

async function endKubelet(signal: NodeJS.Signals): Promise<void> {
  kubelet?.kill(signal);
  await kubelet?.ended;
}

async function unmountMemory(): Promise<void> {
  const acceptExitCodes = [0, 1, 32];
  await run('umount', ['--lazy', join(root, 'state', 'memory-volumes')], { acceptExitCodes });
}

async function kubectl(...args: string[]): Promise<string> {
  const env = { KUBECONFIG: plane.kubeconfig, HOME: root };
  return (await run(kubectlProgram(), args, { env, timeoutMs: 80_000 })).stdout;
}

async function apply(object: object): Promise<void> {
  const env = { KUBECONFIG: plane.kubeconfig, HOME: root };
  const input = JSON.stringify(object);
  await run(kubectlProgram(), ['apply', '-f', '-'], { env, input, timeoutMs: 60_000 });
}

// biome-ignore lint/suspicious/noExplicitAny: tests look into objects of every kind
const get = async (...args: string[]): Promise<any> =>
  JSON.parse(await kubectl('get', ...args, '-o', 'json'));
async function ready(name: string): Promise<void> {
  try {
    await kubectl('wait', '--for=condition=Ready', `pod/${name}`, '--timeout=120s');
  } catch (err) {
    throw new Error(await kubectl('describe', 'pod', name), { cause: err });
  }
}

/** A class of devices, one of them on the node, and a claim for one. */
function thingsOf(driver: string): object[] {
  const object = (kind: string, name: string, spec: object) => ({
    ...{ apiVersion: 'resource.k8s.io/v1', kind },
    ...{ metadata: { name }, spec },
  });
  const expression = `device.driver == '${driver}'`;
  const pool = { name: 'pool', generation: 1, resourceSliceCount: 1 };
  return [
    object('DeviceClass', driver, { selectors: [{ cel: { expression } }] }),
    object('ResourceSlice', driver, { driver, nodeName: NODE, devices: [{ name: 'a' }], pool }),
    object('ResourceClaim', 'thing', {
      devices: { requests: [{ name: 'one', exactly: { deviceClassName: driver } }] },
    }),
  ];
}

describe('a node on Docker Engine', { timeout: 90_000 }, () => {
  it('says so', async () => {
    const { status } = await get('node', NODE);
    expect(status.nodeInfo.containerRuntimeVersion).toMatch(/^docker:\/\/\d/);
  });

  it('runs a Pod: init container, volumes, environment, probe, logs, exec', async () => {
    await kubectl('create', 'configmap', 'settings', '--from-literal=colour=red');
    const main = shell('main', 'echo from $WHO; cat /shared/made; sleep 3600', {
      env: [
        { name: 'WHO', valueFrom: { fieldRef: { fieldPath: 'metadata.name' } } },
        { name: 'COLOUR', valueFrom: { configMapKeyRef: { name: 'settings', key: 'colour' } } },
      ],
      volumeMounts: [
        { name: 'shared', mountPath: '/shared' },
        { name: 'settings', mountPath: '/settings' },
      ],
      readinessProbe: { exec: { command: ['test', '-f', '/shared/made'] }, periodSeconds: 1 },
      resources: { limits: { memory: '32Mi', cpu: '200m' } },
    });
    const init = shell('init', 'echo made by init > /shared/made', {
      volumeMounts: [{ name: 'shared', mountPath: '/shared' }],
    });
    const volumes = [
      { name: 'shared', emptyDir: {} },
      { name: 'settings', configMap: { name: 'settings' } },
    ];
    await apply(podOf('whole', [main], { initContainers: [init], volumes }));
    await ready('whole');
    // What it is ready by was there before it began.
    const printed = () => kubectl('logs', 'whole');
    await eventually('what it prints', async () => (await printed()).includes('made by init'));
    expect(await printed()).toBe('from whole\nmade by init\n');
    expect(await kubectl('exec', 'whole', '--', 'sh', '-c', 'echo $COLOUR')).toBe('red\n');
    await kubectl('patch', 'configmap', 'settings', '-p', '{"data":{"colour":"blue"}}');
    await eventually('the file follows', async () =>
      (await kubectl('exec', 'whole', '--', 'cat', '/settings/colour')).includes('blue'),
    );
  });

  it('keeps its containers when the kubelet is killed', async () => {
    const before = (await get('pod', 'whole')).status.containerStatuses[0];
    await endKubelet('SIGKILL');
    startKubelet();
    await apply(podOf('later', [shell('main', 'sleep 3600')]));
    await ready('later');
    const after = (await get('pod', 'whole')).status.containerStatuses[0];
    expect(after).toMatchObject({ containerID: before.containerID, restartCount: 0, ready: true });
  });

  it('restarts a container that fails, and tells how it ended', async () => {
    await apply(podOf('failing', [shell('main', 'exit 3')], { restartPolicy: 'OnFailure' }));
    const status = await eventually('a restart', async () => {
      const [first] = (await get('pod', 'failing')).status.containerStatuses ?? [];
      return first?.restartCount > 0 ? first : undefined;
    });
    const ended = status.lastState.terminated ?? status.state.terminated;
    expect(ended).toMatchObject({ exitCode: 3, reason: 'Error' });
  });

  it('gives a container the device of its claim', async () => {
    const DRIVER = 'docker.test';
    const driver = await startDraDriver({
      ...{ name: DRIVER, kubeletRoot: join(root, 'state'), directory: join(root, 'driver') },
      devices: ['a'],
      allocated: async (_namespace, name) =>
        (await get('resourceclaim', name)).status.allocation.devices.results,
    });
    try {
      await driver.registered;
      await apply({ apiVersion: 'v1', kind: 'List', items: thingsOf(DRIVER) });
      const main = shell('main', 'sleep 3600', { resources: { claims: [{ name: 'thing' }] } });
      const resourceClaims = [{ name: 'thing', resourceClaimName: 'thing' }];
      await apply(podOf('claiming', [main], { resourceClaims }));
      await ready('claiming');
      const script = 'test -c /dev/thing && echo $THING';
      expect(await kubectl('exec', 'claiming', '--', 'sh', '-c', script)).toBe('a\n');
      await kubectl('delete', 'pod', 'claiming');
      const calls = () => driver.calls.map(({ method }) => method);
      await eventually('it is given up', () => calls().includes('NodeUnprepareResources'));
    } finally {
      driver.stop();
    }
  });

  it('refuses by name what the engine does not have', async () => {
    const volumes = [{ name: 'v', image: { reference: BUSYBOX_IMAGE } }];
    const main = shell('main', 'true', { volumeMounts: [{ name: 'v', mountPath: '/v' }] });
    await apply(podOf('image', [main], { volumes }));
    await eventually('the event', async () =>
      /image volumes are not supported by Docker Engine/.test(
        await kubectl('describe', 'pod', 'image'),
      ),
    );
  });

  it('leaves nothing of Pods that are gone', async () => {
    await kubectl('delete', 'pods', '--all', '--timeout=120s');
    await eventually('no container is left', async () => {
      const sandboxes = await engine.runtime.listPodSandboxes();
      const containers = await engine.runtime.listContainers();
      const directories = readdirSync(join(root, 'state', 'pods'));
      return sandboxes.length + containers.length + directories.length === 0;
    });
  });
});

describe('openRuntime', () => {
  it('finds Docker where no CRI socket is', async () => {
    const flag = (name: string): string =>
      engine.flags.find((f) => f.startsWith(`--${name}=`))?.replace(/^[^=]*=/, '') ?? '';
    const runtime = await openRuntime(
      `unix://${join(root, 'containerd.sock')}`,
      {
        configDir: flag('cni-conf-dir'),
        binDir: flag('cni-bin-dir'),
        stateDir: join(root, 'cni-state'),
        pauseImage: flag('pod-infra-container-image'),
      },
      flag('container-runtime-endpoint').replace('docker://', ''),
    );
    expect((await runtime.version()).runtimeName).toBe('docker');
    runtime.close();
  });
});
