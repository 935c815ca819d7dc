import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { EVENTS, PODS } from '../../src/api/resource-types.ts';
import {
  DEVICE_CLASSES,
  RESOURCE_CLAIM_TEMPLATES,
  RESOURCE_CLAIMS,
  RESOURCE_SLICES,
} from '../../src/api/system-resource-types.ts';
import type { Draft, Pod, ResourceClaim } from '../../src/api/types.ts';
import { type ControlPlane, startControlPlane } from '../support/control-plane.ts';
import { eventually } from '../support/eventually.ts';
import { type MadeUpNodes, madeUpNodes } from '../support/made-up-nodes.ts';

const DRIVER = 'gpu.example.com';
const API = 'resource.k8s.io/v1';
const HERE = { namespace: 'default' };

let plane: ControlPlane;
let nodes: MadeUpNodes;
beforeAll(async () => {
  plane = await startControlPlane({ controllers: true });
  nodes = await madeUpNodes(plane.client, { names: ['plain', 'gpu'] });
  const { client } = plane;
  const isOurs = { cel: { expression: `device.driver == "${DRIVER}"` } };
  await client.create(DEVICE_CLASSES, {
    ...{ apiVersion: API, kind: 'DeviceClass', metadata: { name: 'gpu' } },
    spec: { selectors: [isOurs] },
  });
  await client.create(RESOURCE_SLICES, {
    ...{ apiVersion: API, kind: 'ResourceSlice', metadata: { name: 'gpu-node' } },
    spec: {
      ...{ driver: DRIVER, nodeName: 'gpu' },
      pool: { name: 'gpu', generation: 1, resourceSliceCount: 1 },
      devices: ['8Gi', '16Gi'].map((memory, i) => ({
        name: `gpu-${i}`,
        attributes: { model: { string: 'fast' }, driverVersion: { version: '1.2.0' } },
        capacity: { memory: { value: memory } },
      })),
    },
  });
});
afterAll(async () => {
  await nodes?.stop();
  await plane?.stop();
});

function requests(expression: string, count = 1) {
  const selectors = [{ cel: { expression } }];
  const exactly = {
    ...{ deviceClassName: 'gpu', allocationMode: 'ExactCount', count, selectors },
  };
  return { devices: { requests: [{ name: 'gpu', exactly }] } };
}

function pod(name: string, claim: object): Draft<Pod> {
  return {
    ...{ apiVersion: 'v1', kind: 'Pod', metadata: { name, ...HERE } },
    spec: {
      containers: [{ name: 'main', image: 'pause', resources: { claims: [{ name: 'gpu' }] } }],
      resourceClaims: [{ name: 'gpu', ...claim }],
      terminationGracePeriodSeconds: 1,
    },
  };
}

const podNow = (name: string) => plane.client.get(PODS, { ...HERE, name });
const placed = (name: string) =>
  eventually(`${name} has a node`, async () => (await podNow(name)).spec?.nodeName);
const claims = async (): Promise<ResourceClaim[]> =>
  (await plane.client.list(RESOURCE_CLAIMS, HERE)).items;
const devicesOf = (claim: ResourceClaim | undefined) =>
  claim?.status?.allocation?.devices?.results?.map(({ device }) => device);

describe('Pods with devices', () => {
  it('get a claim from a template, its devices, and a node that has them', async () => {
    const { client } = plane;
    const big = `device.capacity["${DRIVER}"].memory.compareTo(quantity("10Gi")) > 0`;
    await client.create(RESOURCE_CLAIM_TEMPLATES, {
      ...{ apiVersion: API, kind: 'ResourceClaimTemplate', metadata: { name: 'big', ...HERE } },
      spec: { spec: requests(big) },
    });
    await client.create(PODS, pod('first', { resourceClaimTemplateName: 'big' }));
    expect(await placed('first')).toBe('gpu');
    const [claim] = await claims();
    expect(devicesOf(claim)).toEqual(['gpu-1']);
    const { uid } = (await podNow('first')).metadata;
    expect(claim?.status?.reservedFor).toEqual([{ resource: 'pods', name: 'first', uid }]);
  });

  it('wait for a device that is in use, say so, and get it when it is free', async () => {
    const { client } = plane;
    await client.create(PODS, pod('second', { resourceClaimTemplateName: 'big' }));
    const why =
      '0/2 nodes are available: 2 cannot allocate all claims. still not schedulable, preemption: 0/2 nodes are available: 2 Preemption is not helpful for scheduling.';
    await eventually('second says why it waits', async () =>
      (await client.list(EVENTS, HERE)).items.some(
        ({ involvedObject, message }) => involvedObject.name === 'second' && message === why,
      ),
    );
    await client.delete(PODS, { ...HERE, name: 'first' });
    expect(await placed('second')).toBe('gpu');
    const left = await eventually('the claim of the first Pod is gone', async () => {
      const now = await claims();
      return now.length === 1 ? now : undefined;
    });
    expect(devicesOf(left[0])).toEqual(['gpu-1']);
  });

  it('share a claim, whose devices are free when the last of them is gone', async () => {
    const { client } = plane;
    await client.create(RESOURCE_CLAIMS, {
      ...{ apiVersion: API, kind: 'ResourceClaim', metadata: { name: 'shared', ...HERE } },
      spec: requests(`device.attributes["${DRIVER}"].driverVersion.isLessThan(semver("2.0.0"))`),
    });
    const shared = { resourceClaimName: 'shared' };
    await client.create(PODS, pod('one', shared));
    await client.create(PODS, pod('other', shared));
    expect([await placed('one'), await placed('other')]).toEqual(['gpu', 'gpu']);
    const now = () => client.get(RESOURCE_CLAIMS, { ...HERE, name: 'shared' });
    expect(devicesOf(await now())).toEqual(['gpu-0']);
    expect((await now()).status?.reservedFor?.map(({ name }) => name).sort()).toEqual([
      'one',
      'other',
    ]);
    await client.delete(PODS, { ...HERE, name: 'one' });
    await client.delete(PODS, { ...HERE, name: 'other' });
    await eventually('the devices are free', async () => !(await now()).status?.allocation);
  });

  it('get them for an extended resource as soon as a class stands for it', async () => {
    const { client } = plane;
    const gpu = { 'example.com/gpu': '1' };
    const resources = { requests: gpu, limits: gpu };
    await client.create(PODS, {
      ...{ apiVersion: 'v1', kind: 'Pod', metadata: { name: 'plain', ...HERE } },
      spec: {
        containers: [{ name: 'main', image: 'pause', resources }],
        terminationGracePeriodSeconds: 1,
      },
    });
    await eventually('it waits for the resource', async () =>
      (await client.list(EVENTS, HERE)).items.some(
        ({ involvedObject, message }) =>
          involvedObject.name === 'plain' && message?.includes('2 Insufficient example.com/gpu'),
      ),
    );
    await client.create(DEVICE_CLASSES, {
      ...{ apiVersion: API, kind: 'DeviceClass', metadata: { name: 'any' } },
      spec: { extendedResourceName: 'example.com/gpu' },
    });
    expect(await placed('plain')).toBe('gpu');
    const { metadata, status } = await podNow('plain');
    const { resourceClaimName = '', requestMappings } = status?.extendedResourceClaimStatus ?? {};
    expect(requestMappings).toEqual([
      {
        ...{ containerName: 'main', resourceName: 'example.com/gpu' },
        requestName: 'container-0-request-0',
      },
    ]);
    const claim = (await claims()).find((one) => one.metadata.name === resourceClaimName);
    expect(devicesOf(claim)).toEqual(['gpu-0']);
    expect(claim?.status?.reservedFor?.map(({ uid }) => uid)).toEqual([metadata.uid]);
    await client.delete(PODS, { ...HERE, name: 'plain' });
    await eventually('the claim is gone', async () =>
      (await claims()).every((one) => one.metadata.name !== resourceClaimName),
    );
  });
});

describe('a device that its driver taints', () => {
  it('loses the Pod that uses it, which is told why', async () => {
    const { client } = plane;
    const named = { ...HERE, name: 'broken' };
    await client.create(RESOURCE_CLAIMS, {
      ...{ apiVersion: API, kind: 'ResourceClaim', metadata: named },
      spec: requests(`device.capacity["${DRIVER}"].memory.compareTo(quantity("10Gi")) < 0`),
    });
    const { metadata, spec } = pod('broken', { resourceClaimName: 'broken' });
    // Kept, to be looked at.
    const finalizers = ['example.com/kept'];
    await client.create(PODS, {
      ...pod('broken', {}),
      metadata: { ...metadata, finalizers },
      spec,
    });
    await placed('broken');
    const slice = await client.get(RESOURCE_SLICES, { namespace: '', name: 'gpu-node' });
    const devices = (slice.spec.devices ?? []).map((device) => ({
      ...device,
      taints: [{ key: 'example.com/broken', effect: 'NoExecute' }],
    }));
    await client.update(RESOURCE_SLICES, { ...slice, spec: { ...slice.spec, devices } });
    const gone = await eventually('it is going', async () => {
      const now = await podNow('broken');
      return now.metadata.deletionTimestamp ? now : undefined;
    });
    expect(gone.status?.conditions).toContainEqual(
      expect.objectContaining({
        type: 'DisruptionTarget',
        reason: 'DeletionByDeviceTaintManager',
      }),
    );
    const told = await client.get(RESOURCE_SLICES, { namespace: '', name: 'gpu-node' });
    expect(told.spec.devices?.[0]?.taints?.[0]?.timeAdded).toBeDefined();
    const body = { metadata: { finalizers: null } };
    await client.patch(PODS, named, { type: 'merge', body });
  });
});
