import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openRuntime } from '../../src/kubelet/open-runtime.ts';
import { startDraDriver } from '../support/dra-driver.ts';
import { startDocker } from '../support/engines.ts';
import { eventually } from '../support/eventually.ts';
import { type LoneNode, startLoneNode } from '../support/lone-node.ts';
import { BUSYBOX_IMAGE } from '../support/manifests.ts';
import { podOf, shell } from '../support/pods.ts';

const NODE = 'docker-node';
let node: LoneNode;

beforeAll(async () => {
  node = await startLoneNode({ name: NODE, startEngine: startDocker });
});
afterAll(() => node?.stop());

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
    const { status } = await node.get('node', NODE);
    expect(status.nodeInfo.containerRuntimeVersion).toMatch(/^docker:\/\/\d/);
  });

  it('runs a Pod: init container, volumes, environment, probe, logs, exec', async () => {
    await node.kubectl('create', 'configmap', 'settings', '--from-literal=colour=red');
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
    await node.apply(podOf('whole', [main], { initContainers: [init], volumes }));
    await node.ready('whole');
    // What it is ready by was there before it began.
    const printed = () => node.kubectl('logs', 'whole');
    await eventually('what it prints', async () => (await printed()).includes('made by init'));
    expect(await printed()).toBe('from whole\nmade by init\n');
    expect(await node.kubectl('exec', 'whole', '--', 'sh', '-c', 'echo $COLOUR')).toBe('red\n');
    await node.kubectl('patch', 'configmap', 'settings', '-p', '{"data":{"colour":"blue"}}');
    await eventually('the file follows', async () =>
      (await node.kubectl('exec', 'whole', '--', 'cat', '/settings/colour')).includes('blue'),
    );
  });

  it('keeps its containers when the kubelet is killed', async () => {
    const before = (await node.get('pod', 'whole')).status.containerStatuses[0];
    await node.endKubelet('SIGKILL');
    node.startKubelet();
    await node.apply(podOf('later', [shell('main', 'sleep 3600')]));
    await node.ready('later');
    const after = (await node.get('pod', 'whole')).status.containerStatuses[0];
    expect(after).toMatchObject({ containerID: before.containerID, restartCount: 0, ready: true });
  });

  it('restarts a container that fails, and tells how it ended', async () => {
    await node.apply(podOf('failing', [shell('main', 'exit 3')], { restartPolicy: 'OnFailure' }));
    const status = await eventually('a restart', async () => {
      const [first] = (await node.get('pod', 'failing')).status.containerStatuses ?? [];
      return first?.restartCount > 0 ? first : undefined;
    });
    const ended = status.lastState.terminated ?? status.state.terminated;
    expect(ended).toMatchObject({ exitCode: 3, reason: 'Error' });
  });

  it('gives a container the device of its claim', async () => {
    const DRIVER = 'docker.test';
    const driver = await startDraDriver({
      ...{ name: DRIVER, kubeletRoot: node.state, directory: join(node.root, 'driver') },
      devices: ['a'],
      allocated: async (_namespace, name) =>
        (await node.get('resourceclaim', name)).status.allocation.devices.results,
    });
    try {
      await driver.registered;
      await node.apply(...thingsOf(DRIVER));
      const main = shell('main', 'sleep 3600', { resources: { claims: [{ name: 'thing' }] } });
      const resourceClaims = [{ name: 'thing', resourceClaimName: 'thing' }];
      await node.apply(podOf('claiming', [main], { resourceClaims }));
      await node.ready('claiming');
      const script = 'test -c /dev/thing && echo $THING';
      expect(await node.kubectl('exec', 'claiming', '--', 'sh', '-c', script)).toBe('a\n');
      await node.kubectl('delete', 'pod', 'claiming');
      const calls = () => driver.calls.map(({ method }) => method);
      await eventually('it is given up', () => calls().includes('NodeUnprepareResources'));
    } finally {
      driver.stop();
    }
  });

  it('refuses by name what the engine does not have', async () => {
    const volumes = [{ name: 'v', image: { reference: BUSYBOX_IMAGE } }];
    const main = shell('main', 'true', { volumeMounts: [{ name: 'v', mountPath: '/v' }] });
    await node.apply(podOf('image', [main], { volumes }));
    await eventually('the event', async () =>
      /image volumes are not supported by Docker Engine/.test(
        await node.kubectl('describe', 'pod', 'image'),
      ),
    );
  });

  it('leaves nothing of Pods that are gone', async () => {
    await node.kubectl('delete', 'pods', '--all', '--timeout=120s');
    await eventually('no container is left', async () => {
      const sandboxes = await node.engine.runtime.listPodSandboxes();
      const containers = await node.engine.runtime.listContainers();
      const directories = readdirSync(join(node.state, 'pods'));
      return sandboxes.length + containers.length + directories.length === 0;
    });
  });
});

describe('openRuntime', () => {
  it('finds Docker where no CRI socket is', async () => {
    const flag = (name: string): string =>
      node.engine.flags.find((f) => f.startsWith(`--${name}=`))?.replace(/^[^=]*=/, '') ?? '';
    const runtime = await openRuntime(
      `unix://${join(node.root, 'containerd.sock')}`,
      {
        configDir: flag('cni-conf-dir'),
        binDir: flag('cni-bin-dir'),
        stateDir: join(node.root, 'cni-state'),
        pauseImage: flag('pod-infra-container-image'),
      },
      flag('container-runtime-endpoint').replace('docker://', ''),
    );
    expect((await runtime.version()).runtimeName).toBe('docker');
    runtime.close();
  });
});
