import { describe, expect, it } from 'vitest';
import { PODS } from '../../api/resource-types.ts';
import { RESOURCE_CLAIMS } from '../../api/system-resource-types.ts';
import type { Container, Pod, ResourceClaim } from '../../api/types.ts';
import { CycleState } from '../cycle-state.ts';
import { fitErrorMessage } from '../fit-error.ts';
import { testBench } from '../framework.fake.ts';
import { makeNode, makePod } from '../objects.fake.ts';
import { PodInfo } from '../pod-info.ts';
import { extendedRequests } from './extended-requests.ts';

const GPU = 'example.com/gpu';
const DRIVER = 'gpu.example.com';
const signal = new AbortController().signal;

function container(name: string, gpus: number, more: object = {}): Container {
  const requests = gpus > 0 ? { cpu: '1', [GPU]: String(gpus) } : { cpu: '1' };
  return { name, image: 'i', resources: { requests, limits: requests }, ...more } as Container;
}

/** Nodes a (with nothing), b (with two devices) and perhaps c (with a device plugin); a class for the resource. */
function bench(...more: ReturnType<typeof makeNode>[]) {
  const made = testBench();
  made.addNodes(makeNode('a'), makeNode('b'), ...more);
  made.devices.deviceClasses.set('gpu', { spec: { extendedResourceName: GPU } });
  const devices = [{ name: 'x' }, { name: 'y' }];
  made.devices.resourceSlices.set('b', {
    spec: {
      ...{ driver: DRIVER, nodeName: 'b', devices },
      pool: { name: 'b', generation: 1, resourceSliceCount: 1 },
    },
  });
  const pod = (gpus: number, name = 'p', resource = GPU): Pod => {
    const requests = { [resource]: String(gpus) };
    const [seeded] = made.client.seed(
      PODS,
      makePod(name, {
        spec: { containers: [{ name: 'main', image: 'i', resources: { requests } }] },
      }),
    );
    if (!seeded) throw new Error('not seeded');
    return seeded;
  };
  const place = async (one: Pod) => {
    const placement = await made.place(one);
    if (placement.kind === 'placed') return placement.nodeName;
    return placement.kind === 'unschedulable' ? fitErrorMessage(placement.diagnosis) : placement;
  };
  /** Through filter and reserve. */
  const reserve = (one: Pod, node: string) => {
    const info = new PodInfo(one).on(node);
    const state = new CycleState();
    const snapshot = made.cache.snapshot();
    const found = snapshot.get(node);
    const { status } = made.profile.preFilter(state, info, snapshot);
    const refused = status ?? (found && made.profile.filter(state, info, found));
    const failure = refused ?? made.profile.reserve(state, info, node);
    return { state, info, snapshot, refused: failure?.reasons.join() };
  };
  const claims = () => made.client.all(RESOURCE_CLAIMS) as ResourceClaim[];
  /** What the API server has is what the scheduler sees. */
  const see = () => {
    for (const { metadata, spec, status } of claims()) {
      made.devices.resourceClaims.set(metadata.name, { spec, status }, metadata);
    }
  };
  return { ...made, pod, place, reserve, claims, see };
}

describe('extended resources that devices stand for', () => {
  it('are had where the devices are, through a claim that is made at the binding', async () => {
    const made = bench();
    const pod = made.pod(2);
    expect(await made.place(pod)).toBe('b');
    const { state, info } = made.reserve(pod, 'b');
    expect(made.claims()).toEqual([]);
    expect(await made.profile.preBind(state, info, 'b', signal)).toBeUndefined();
    const [claim] = made.claims();
    expect(claim).toMatchObject({
      metadata: {
        generateName: 'p-extended-resources-',
        annotations: { 'resource.kubernetes.io/extended-resource-claim': 'true' },
        ownerReferences: [{ kind: 'Pod', name: 'p', uid: pod.metadata.uid, controller: true }],
        finalizers: ['resource.kubernetes.io/delete-protection'],
      },
      spec: {
        devices: {
          requests: [
            {
              name: 'container-0-request-0',
              exactly: { deviceClassName: 'gpu', allocationMode: 'ExactCount', count: 2 },
            },
          ],
        },
      },
      status: { reservedFor: [{ resource: 'pods', name: 'p', uid: pod.metadata.uid }] },
    });
    const results = claim?.status?.allocation?.devices?.results ?? [];
    expect(results.map(({ device }) => device)).toEqual(['x', 'y']);
    const written = await made.client.get(PODS, pod.metadata);
    const mapping = { containerName: 'main', resourceName: GPU };
    expect(written.status?.extendedResourceClaimStatus).toEqual({
      resourceClaimName: claim?.metadata.name,
      requestMappings: [{ ...mapping, requestName: 'container-0-request-0' }],
    });
    // The devices are gone now, before the claim is seen and after.
    const none = '0/2 nodes are available: 2 cannot allocate all claims.';
    expect(await made.place(made.pod(1, 'q'))).toBe(none);
    made.see();
    expect(await made.place(made.pod(1, 'r'))).toBe(none);
  });

  it('need no claim on a node whose device plugin has them', async () => {
    const made = bench(makeNode('c', { [GPU]: '8' }));
    const pod = made.pod(4);
    expect(await made.place(pod)).toBe('c');
    const { state, info, refused } = made.reserve(pod, 'c');
    expect(refused).toBeUndefined();
    await made.profile.preBind(state, info, 'c', signal);
    expect(made.claims()).toEqual([]);
    expect(await made.place(made.pod(9, 'q'))).toBe(
      `0/3 nodes are available: 1 Insufficient ${GPU}, 2 cannot allocate all claims.`,
    );
  });

  it('go by the name of the class, too; without a class nothing stands for them', async () => {
    const made = bench();
    expect(await made.place(made.pod(1, 'p', 'deviceclass.resource.kubernetes.io/gpu'))).toBe('b');
    for (const name of ['deviceclass.resource.kubernetes.io/other', 'example.com/other']) {
      expect(await made.place(made.pod(1, 'p', name))).toBe(
        `0/2 nodes are available: 2 Insufficient ${name}.`,
      );
    }
  });

  it('are of the newest class', () => {
    const { devices, pod, reserve } = bench();
    const cel = (expression: string) => [{ cel: { expression } }];
    const spec = { extendedResourceName: GPU, selectors: cel('false') };
    devices.deviceClasses.set('newer', { spec }, { creationTimestamp: '2026-01-02T00:00:00Z' });
    devices.deviceClasses.set(
      'gpu',
      { spec: { extendedResourceName: GPU } },
      { creationTimestamp: '2026-01-01T00:00:00Z' },
    );
    expect(reserve(pod(1), 'b').refused).toBe('cannot allocate all claims');
    devices.deviceClasses.set('newer', { spec: {} });
    expect(reserve(pod(1), 'b').refused).toBeUndefined();
  });

  it('are given back, and the claim is deleted, when the Pod is not bound', async () => {
    const made = bench();
    const { state, info } = made.reserve(made.pod(2), 'b');
    expect(made.reserve(made.pod(1, 'q'), 'b').refused).toBe('cannot allocate all claims');
    made.profile.unreserve(state, info, 'b');
    const again = made.reserve(made.pod(2, 'r'), 'b');
    expect(again.refused).toBeUndefined();
    await made.profile.preBind(again.state, again.info, 'b', signal);
    expect(made.claims()).toHaveLength(1);
    made.profile.unreserve(again.state, again.info, 'b');
    await expect.poll(made.claims).toEqual([]);
  });

  it('are allocated anew when a claim of an earlier try is there', async () => {
    const made = bench();
    const pod = made.pod(1);
    const first = made.reserve(pod, 'b');
    await made.profile.preBind(first.state, first.info, 'b', signal);
    made.see();
    const { state, snapshot, refused } = made.reserve(pod, 'b');
    expect(refused).toBe('cannot schedule extended resource claim');
    const unplaced = { state, pod: new PodInfo(pod), snapshot, rejections: new Map() };
    const { status } = await made.profile.postFilter(unplaced);
    expect(status?.reasons[0]).toBe('deletion of ResourceClaim completed');
    expect(made.claims()).toEqual([]);
  });
});

describe('extendedRequests', () => {
  const made = (init: Container[], main: Container[]) => {
    const pod = makePod('p', { spec: { initContainers: init, containers: main } });
    const { requests, mappings } = extendedRequests(pod, new Map([[GPU, 'gpu']]));
    return {
      requests: requests.map(({ name, exactly }) => `${name}=${exactly?.count}`),
      mappings: mappings.map((one) => `${one.containerName}:${one.requestName}`),
    };
  };

  it('gives each container its own', () => {
    expect(made([], [container('a', 1), container('b', 0), container('c', 2)])).toEqual({
      requests: ['container-0-request-1=1', 'container-2-request-1=2'],
      mappings: ['a:container-0-request-1', 'c:container-2-request-1'],
    });
  });

  it('lends init containers what those have who start later, and one request for the rest', () => {
    const sidecar = container('side', 1, { restartPolicy: 'Always' });
    const init = [container('i0', 2), sidecar, container('i1', 5), container('i2', 4)];
    expect(made(init, [container('a', 2)])).toEqual({
      requests: ['container-1-request-1=1', 'container-2-request-1=3', 'container-4-request-1=2'],
      mappings: [
        'side:container-1-request-1',
        'a:container-4-request-1',
        ...['i0:container-1-request-1', 'i0:container-4-request-1'],
        ...['i1:container-4-request-1', 'i1:container-2-request-1'],
        ...['i2:container-4-request-1', 'i2:container-2-request-1'],
      ],
    });
  });
});
