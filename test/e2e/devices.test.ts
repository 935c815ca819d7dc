import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { signalProcess } from '../../src/host/processes.ts';
import { createRpcClient } from '../../src/util/grpc.ts';
import { NODE_NAME } from '../support/cluster.ts';
import { componentPid } from '../support/component-pid.ts';
import {
  socketIdentity,
  startDevicePlugin,
  type TestDevicePlugin,
} from '../support/device-plugin.ts';
import { eventually } from '../support/eventually.ts';
import { inPhase, podOf, shell } from '../support/pods.ts';
import { sharedCluster } from '../support/shared-cluster.ts';
import { testNamespace } from '../support/test-namespace.ts';

const RESOURCE = 'vendor.test/thing';
const cluster = sharedCluster();
const ns = testNamespace(cluster, 'devices');
const kubeletRoot = cluster.paths.kubelet;
let scratch = '';
let plugin: TestDevicePlugin;

beforeAll(async () => {
  scratch = mkdtempSync(join(tmpdir(), 'k8ts-devices-'));
  writeFileSync(join(scratch, 'library'), 'of the vendor');
  const file = join(scratch, 'library');
  plugin = await startDevicePlugin({ resource: RESOURCE, kubeletRoot, file });
  plugin.set({ a: 'Healthy', b: 'Healthy', c: 'Unhealthy' });
  await plugin.register();
});
afterAll(async () => {
  plugin?.stop();
  rmSync(scratch, { recursive: true, force: true });
  await untilNode({ allocatable: '0' });
});

async function untilNode(wanted: { capacity?: string; allocatable: string }): Promise<void> {
  await eventually(`the node has ${JSON.stringify(wanted)}`, async () => {
    const { status } = await cluster.get('node', NODE_NAME);
    const { capacity, allocatable } = wanted;
    if (capacity !== undefined && status.capacity[RESOURCE] !== capacity) return false;
    return status.allocatable[RESOURCE] === allocatable;
  });
}

/** A Pod that asks for devices of the plugin. */
function using(name: string, count: number, spec: Record<string, unknown> = {}) {
  const script = 'env; cat /opt/vendor; head -c 3 /dev/thing | wc -c; sleep 3600';
  const main = shell('main', script, {
    resources: { limits: { [RESOURCE]: String(count) } },
    env: [{ name: 'OVERRIDDEN', value: 'by the Pod' }],
  });
  return podOf(name, [main], spec);
}

interface PodDevices {
  podResources: {
    name: string;
    containers: { devices: { resourceName: string; deviceIds: string[] }[] }[];
  }[];
}

/** Which devices a Pod has, as monitors are told. */
async function devicesOf(pod: string): Promise<string[]> {
  const rpc = createRpcClient({
    proto: 'pod-resources.proto',
    service: 'v1.PodResourcesLister',
    address: `unix://${kubeletRoot}/pod-resources/kubelet.sock`,
  });
  try {
    const { podResources } = await rpc.call<PodDevices>('List', {});
    const found = podResources.find(({ name }) => name === pod);
    return (found?.containers ?? []).flatMap((c) => c.devices.flatMap((d) => d.deviceIds));
  } finally {
    rpc.close();
  }
}

describe('the devices of a plugin', () => {
  it('are counted in the node’s status', async () => {
    await untilNode({ capacity: '3', allocatable: '2' });
    plugin.set({ a: 'Healthy', b: 'Healthy' });
    await untilNode({ capacity: '2', allocatable: '2' });
  });

  it('are given to the container that asks, with what it needs to use them', async () => {
    await ns.apply(using('first', 1));
    await inPhase(ns, 'first', 'Running');
    const output = await eventually('its output', async () => {
      const log = await ns.kubectl('logs', 'first');
      return /vendor3/.test(log) ? log : undefined;
    });
    expect(output).toMatch(/^VENDOR_DEVICES=b$/m);
    expect(output).toMatch(/^OVERRIDDEN=by the Pod$/m);
    expect(output).toMatch(/of the vendor3$/m);
    const preStart = plugin.calls.find((c) => c.method === 'PreStartContainer');
    expect(preStart?.request).toEqual({ devicesIds: ['b'] });
    expect(await devicesOf('first')).toEqual(['b']);
  });

  it('that are too few keep a Pod from the node', async () => {
    await ns.apply(using('greedy', 2));
    await eventually('the scheduler says so', async () =>
      (await ns.kubectl('describe', 'pod', 'greedy')).includes(`Insufficient ${RESOURCE}`),
    );
    await ns.apply(using('bold', 2, { nodeName: NODE_NAME }));
    const { status } = await inPhase(ns, 'bold', 'Failed');
    expect(status.reason).toBe(`OutOf${RESOURCE}`);
    await ns.kubectl('delete', 'pod', 'greedy', 'bold');
  });

  it('stay with their containers over a restart of the kubelet, and are given to nobody else', async () => {
    const before = socketIdentity(kubeletRoot);
    signalProcess(await componentPid(cluster, 'kubelet'), 'SIGKILL');
    await eventually('a new kubelet takes plugins', () => socketIdentity(kubeletRoot) !== before);
    await plugin.register();
    await untilNode({ capacity: '2', allocatable: '2' });
    await ns.apply(using('second', 1));
    await inPhase(ns, 'second', 'Running');
    expect(await devicesOf('first')).toEqual(['b']);
    expect(await devicesOf('second')).toEqual(['a']);
  });

  it('are free again when their Pod has ended', async () => {
    await ns.kubectl('delete', 'pod', 'first', 'second');
    await ns.apply(using('both', 2));
    await inPhase(ns, 'both', 'Running');
    expect((await devicesOf('both')).toSorted()).toEqual(['a', 'b']);
    await ns.kubectl('delete', 'pod', 'both');
  });

  it('cannot be had any more when the plugin is gone', async () => {
    plugin.stop();
    await untilNode({ capacity: '2', allocatable: '0' });
  });
});
