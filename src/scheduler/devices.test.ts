import { describe, expect, it } from 'vitest';
import { conflict } from '../api/errors.ts';
import { RESOURCE_CLAIMS } from '../api/system-resource-types.ts';
import type { Pod, ResourceClaim } from '../api/types.ts';
import { CONFIG_API_VERSION, readConfig } from './config.ts';
import { CycleState } from './cycle-state.ts';
import { fitErrorMessage } from './fit-error.ts';
import { testBench } from './framework.fake.ts';
import { makeNode, makePod } from './objects.fake.ts';
import { PodInfo } from './pod-info.ts';

const DRIVER = 'gpu.example.com';
const HERE = { namespace: 'default' };

interface MadeDevice {
  readonly name: string;
  readonly [field: string]: unknown;
}

const slice = (node: string, devices: readonly MadeDevice[], spec: object = {}) => ({
  spec: {
    ...{ driver: DRIVER, nodeName: node, devices },
    ...{ pool: { name: node, generation: 1, resourceSliceCount: 1 }, ...spec },
  },
});
const model = (name: string, value: string): MadeDevice => ({
  name,
  attributes: { model: { string: value } },
});
const cel = (expression: string) => ({ selectors: [{ cel: { expression } }] });
const isModel = (value: string) => cel(`device.attributes["${DRIVER}"].model == "${value}"`);
const exactly = (name: string, more: object = {}) => ({
  name,
  exactly: { deviceClassName: 'gpu', allocationMode: 'ExactCount', count: 1, ...more },
});
const claimSpec = (requests: readonly object[], more: object = {}) => ({
  spec: { devices: { requests, ...more } },
});
const allocated = (device: string, node: string, reservedFor: readonly object[] = []) => ({
  allocation: {
    devices: { results: [{ request: 'r', driver: DRIVER, pool: node, device }] },
    nodeSelector: {
      nodeSelectorTerms: [
        { matchFields: [{ key: 'metadata.name', operator: 'In', values: [node] }] },
      ],
    },
  },
  ...(reservedFor.length > 0 ? { reservedFor } : {}),
});

function using(...claims: string[]): Pod {
  const resourceClaims = claims.map((name) => ({ name, resourceClaimName: name }));
  return makePod('p', { spec: { resourceClaims } });
}

/** Nodes a and b; a class `gpu` for all devices. */
function bench(profiles = readConfig(undefined).profiles) {
  const made = testBench(profiles);
  made.addNodes(makeNode('a'), makeNode('b'));
  const { resourceClaims, resourceSlices, deviceClasses } = made.devices;
  deviceClasses.set('gpu', { spec: cel(`device.driver == "${DRIVER}"`) });
  const why = async (pod: Pod) => {
    const placement = await made.place(pod);
    if (placement.kind === 'placed') return placement.nodeName;
    return placement.kind === 'unschedulable'
      ? fitErrorMessage(placement.diagnosis)
      : (placement as { status?: { reasons: readonly string[] } }).status?.reasons.join();
  };
  /** Up to the reservation: which devices the Pod has then. */
  const take = (pod: Pod, node = 'a') => {
    const info = new PodInfo(pod).on(node);
    const state = new CycleState();
    const snapshot = made.cache.snapshot();
    const { profile } = made;
    const before = profile.preFilter(state, info, snapshot);
    const found = snapshot.get(node);
    const refused = before.status ?? (found && profile.filter(state, info, found));
    if (refused) return { refused: refused.reasons.join(), state, info };
    profile.reserve(state, info, node);
    return { refused: undefined, state, info };
  };
  const written = async (pod: Pod, node = 'a') => {
    const { state, info, refused } = take(pod, node);
    if (refused) throw new Error(refused);
    const signal = new AbortController().signal;
    const status = await made.profile.preBind(state, info, node, signal);
    if (status) throw new Error(status.reasons.join());
    return made.client.all(RESOURCE_CLAIMS) as ResourceClaim[];
  };
  /** A claim that both the API server and the scheduler know. */
  const claim = (name: string, fields: object, metadata: object = {}) => {
    const [seeded] = made.client.seed(RESOURCE_CLAIMS, {
      ...{ apiVersion: 'resource.k8s.io/v1', kind: 'ResourceClaim' },
      ...{ metadata: { name, ...HERE, ...metadata }, ...fields },
    } as unknown as ResourceClaim);
    if (seeded) resourceClaims.set(name, fields, { ...seeded.metadata, ...metadata });
  };
  return {
    ...made,
    ...{ why, take, written, claim },
    slice: (name: string, fields: object) => resourceSlices.set(name, fields),
  };
}

const resultsOf = (claims: readonly ResourceClaim[]) =>
  claims.map(({ status }) =>
    (status?.allocation?.devices?.results ?? []).map(
      ({ request, device }) => `${request}=${device}`,
    ),
  );

describe('DynamicResources', () => {
  it('waits for claims, classes and devices, and says for what', async () => {
    const made = bench();
    expect(await made.why(using('gpu'))).toBe(
      '0/2 nodes are available: resourceclaim.resource.k8s.io "gpu" not found.',
    );
    made.claim('gpu', claimSpec([exactly('r', { deviceClassName: 'other' })]));
    expect(await made.why(using('gpu'))).toBe(
      '0/2 nodes are available: request r: device class other does not exist.',
    );
    made.claim('one', claimSpec([exactly('r', isModel('A'))]));
    made.slice('b', slice('b', [model('x', 'B'), model('y', 'A')]));
    expect(await made.why(using('one'))).toBe('b');
    made.claim('two', claimSpec([exactly('r', { count: 2, ...isModel('A') })]));
    expect(await made.why(using('two'))).toBe(
      '0/2 nodes are available: 2 cannot allocate all claims.',
    );
    const fromTemplate = makePod('t', {
      spec: { resourceClaims: [{ name: 'g', resourceClaimTemplateName: 'g' }] },
    });
    expect(made.profile.gate(new PodInfo(fromTemplate))).toMatchObject({
      plugin: 'DynamicResources',
      reasons: ['pod "default/t": ResourceClaim not created yet'],
    });
  });

  it('takes a claim that was made for another Pod for nobody’s', () => {
    const made = bench();
    made.claim('made', claimSpec([exactly('r')]));
    const pod = makePod('t', {
      spec: { resourceClaims: [{ name: 'g', resourceClaimTemplateName: 'g' }] },
    });
    const resourceClaimStatuses = [{ name: 'g', resourceClaimName: 'made' }];
    const told = { ...pod, status: { resourceClaimStatuses } } as Pod;
    expect(made.profile.gate(new PodInfo(told))?.reasons).toEqual([
      'ResourceClaim default/made was not created for pod default/t (pod is not owner)',
    ]);
  });

  it('writes allocation, reservation and protection before the Pod is bound', async () => {
    const made = bench();
    const opaque = { driver: DRIVER, parameters: { speed: 1 } };
    made.devices.deviceClasses.set('gpu', { spec: { config: [{ opaque }] } });
    const config = [{ opaque: { ...opaque, parameters: { speed: 2 } }, requests: ['r'] }];
    made.claim('gpu', claimSpec([exactly('r')], { config }));
    made.slice('a', slice('a', [model('x', 'A')]));
    // Somebody else writes at the same time.
    const stop = made.client.react((action) => {
      if (action.subresource !== 'status') return undefined;
      stop();
      return conflict(RESOURCE_CLAIMS, 'gpu', 'changed');
    });
    const pod = using('gpu');
    const [claim] = await made.written(pod);
    expect(claim?.metadata.finalizers).toEqual(['resource.kubernetes.io/delete-protection']);
    expect(claim?.status?.reservedFor).toEqual([
      { resource: 'pods', name: 'p', uid: pod.metadata.uid },
    ]);
    expect(claim?.status?.allocation).toEqual({
      devices: {
        results: [{ request: 'r', driver: DRIVER, pool: 'a', device: 'x' }],
        config: [
          { opaque, source: 'FromClass', requests: ['r'] },
          { ...config[0], source: 'FromClaim' },
        ],
      },
      nodeSelector: {
        nodeSelectorTerms: [
          { matchFields: [{ key: 'metadata.name', operator: 'In', values: ['a'] }] },
        ],
      },
    });
  });

  it('never gives a device to two Pods, and gives it back when the first is not bound', () => {
    const made = bench();
    made.slice('a', slice('a', [model('x', 'A')]));
    made.claim('one', claimSpec([exactly('r')]));
    made.claim('two', claimSpec([exactly('r')]));
    const first = made.take(using('one'));
    expect(first.refused).toBeUndefined();
    expect(made.take(using('two')).refused).toBe('cannot allocate all claims');
    expect(made.take(using('one')).refused).toBe(
      'resource claim default/one is in the process of being allocated',
    );
    made.profile.unreserve(first.state, first.info, 'a');
    expect(made.take(using('two')).refused).toBeUndefined();
  });

  it('shares an allocated claim among Pods where its devices are', async () => {
    const made = bench();
    const spec = claimSpec([exactly('r')]);
    const other = { resource: 'pods', name: 'other', uid: 'other' };
    made.claim('gpu', { ...spec, status: allocated('x', 'b', [other]) });
    expect(await made.why(using('gpu'))).toBe('b');
    const [claim] = await made.written(using('gpu'), 'b');
    expect(claim?.status?.reservedFor?.map(({ name }) => name)).toEqual(['other', 'p']);
    const many = Array.from({ length: 256 }, (_, i) => ({ ...other, uid: `other-${i}` }));
    made.claim('full', { ...spec, status: allocated('x', 'b', many) });
    expect(await made.why(using('full'))).toBe('0/2 nodes are available: resourceclaim in use.');
  });

  it('allocates anew what keeps a Pod from every node and what nobody uses', async () => {
    const made = bench();
    made.claim('gpu', { ...claimSpec([exactly('r')]), status: allocated('x', 'gone') });
    const pod = new PodInfo(using('gpu'));
    const placement = await made.place(pod.pod);
    if (placement.kind !== 'unschedulable') throw new Error('placed');
    expect(fitErrorMessage(placement.diagnosis)).toBe(
      '0/2 nodes are available: 2 resourceclaim not available on the node.',
    );
    const state = new CycleState();
    const snapshot = made.cache.snapshot();
    made.profile.preFilter(state, pod, snapshot);
    for (const node of snapshot.nodes) made.profile.filter(state, pod, node);
    const result = await made.profile.postFilter({
      ...{ state, pod, snapshot },
      rejections: placement.diagnosis.rejections,
    });
    expect(result.status?.reasons[0]).toBe('deallocation of ResourceClaim completed');
    const [claim] = made.client.all(RESOURCE_CLAIMS);
    expect(claim?.status?.allocation).toBeUndefined();
  });

  it('prefers the first of several alternatives that can be had', async () => {
    const made = bench();
    const firstAvailable = [
      { name: 'big', deviceClassName: 'gpu', ...isModel('big') },
      { name: 'small', deviceClassName: 'gpu', count: 2, ...isModel('small') },
    ];
    made.claim('gpu', claimSpec([{ name: 'r', firstAvailable }]));
    const small = [model('s1', 'small'), model('s2', 'small')];
    made.slice('a', slice('a', small));
    expect(resultsOf(await made.written(using('gpu')))).toEqual([['r/small=s1', 'r/small=s2']]);
    const again = bench();
    again.claim('gpu', claimSpec([{ name: 'r', firstAvailable }]));
    again.slice('a', slice('a', [...small, model('b1', 'big')]));
    expect(resultsOf(await again.written(using('gpu')))).toEqual([['r/big=b1']]);
  });

  it('gives all devices or none, and none of a pool that is being updated', async () => {
    const made = bench();
    made.claim('all', claimSpec([exactly('r', { allocationMode: 'All', count: undefined })]));
    expect(made.take(using('all')).refused).toBe('cannot allocate all claims');
    const pool = { name: 'a', generation: 2, resourceSliceCount: 2 };
    made.slice('old', slice('a', [model('old', 'A')]));
    made.slice('a1', slice('a', [model('x', 'A')], { pool }));
    expect(made.take(using('all')).refused).toBe(
      `claim default/all, request r: asks for all devices, but resource pool ${DRIVER}/a is currently being updated`,
    );
    made.slice('a2', slice('a', [model('y', 'A')], { pool }));
    expect(resultsOf(await made.written(using('all')))).toEqual([['r=x', 'r=y']]);
    made.claim('one', claimSpec([exactly('r')]));
    expect(made.take(using('one')).refused).toBe('cannot allocate all claims');
  });

  it('keeps the constraints between requests', async () => {
    const at = (name: string, numa: number, model: string) => ({
      name,
      attributes: { numa: { int: numa }, model: { string: model } },
    });
    const devices = [
      at('g0', 0, 'gpu'),
      at('g1', 1, 'gpu'),
      at('n1', 1, 'nic'),
      at('g2', 1, 'gpu'),
    ];
    const requests = [exactly('gpu', isModel('gpu')), exactly('nic', isModel('nic'))];
    const made = bench();
    made.slice('a', slice('a', devices));
    const match = { constraints: [{ matchAttribute: `${DRIVER}/numa` }] };
    made.claim('near', claimSpec(requests, match));
    expect(resultsOf(await made.written(using('near')))).toEqual([['gpu=g1', 'nic=n1']]);
    const far = bench();
    far.slice('a', slice('a', devices));
    const two = { count: 2, ...isModel('gpu') };
    const distinct = { constraints: [{ distinctAttribute: `${DRIVER}/numa`, requests: ['gpu'] }] };
    far.claim('far', claimSpec([exactly('gpu', two)], distinct));
    expect(resultsOf(await far.written(using('far')))).toEqual([['gpu=g0', 'gpu=g1']]);
  });

  it('divides a device into parts as far as its counters go', async () => {
    const part = (name: string, memory: string) => ({
      ...model(name, name.slice(0, 1)),
      consumesCounters: [{ counterSet: 'card', counters: { memory: { value: memory } } }],
    });
    const made = bench();
    const sharedCounters = [{ name: 'card', counters: { memory: { value: '40Gi' } } }];
    const devices = [part('whole', '40Gi'), part('h1', '20Gi'), part('h2', '20Gi')];
    made.slice('a', slice('a', devices, { sharedCounters }));
    made.claim('half', claimSpec([exactly('r', isModel('h'))]));
    made.claim('whole', claimSpec([exactly('r', isModel('w'))]));
    made.claim('halves', claimSpec([exactly('r', { count: 2, ...isModel('h') })]));
    expect(made.take(using('half', 'whole')).refused).toBe('cannot allocate all claims');
    expect(made.take(using('whole')).refused).toBeUndefined();
    expect(made.take(using('half')).refused).toBe('cannot allocate all claims');
    const other = bench();
    other.slice('a', slice('a', devices, { sharedCounters }));
    other.claim('halves', claimSpec([exactly('r', { count: 2, ...isModel('h') })]));
    expect(resultsOf(await other.written(using('halves')))).toEqual([['r=h1', 'r=h2']]);
  });

  it('keeps away from tainted devices that are not tolerated', async () => {
    const made = bench();
    const taints = [{ key: 'broken', value: 'yes', effect: 'NoSchedule' }];
    made.slice('a', slice('a', [{ ...model('x', 'A'), taints }]));
    made.claim('one', claimSpec([exactly('r')]));
    expect(made.take(using('one')).refused).toBe('cannot allocate all claims');
    const tolerations = [{ key: 'broken', operator: 'Exists' }];
    made.claim('brave', claimSpec([exactly('r', { tolerations })]));
    expect(made.take(using('brave')).refused).toBeUndefined();
  });

  it('lets those with admin access look at devices that are in use', async () => {
    const made = bench();
    made.slice('a', slice('a', [model('x', 'A')]));
    made.claim('one', claimSpec([exactly('r')]));
    made.claim('admin', claimSpec([exactly('r', { adminAccess: true })]));
    made.take(using('one'));
    expect(made.take(using('admin')).refused).toBeUndefined();
  });

  it('divides the capacity of a device that many may use', async () => {
    const made = bench();
    const requestPolicy = { default: '1Gi', validRange: { min: '1Gi', step: '1Gi' } };
    const device = {
      ...model('nic', 'A'),
      allowMultipleAllocations: true,
      capacity: { bandwidth: { value: '4Gi', requestPolicy } },
    };
    made.slice('a', slice('a', [device]));
    const share = (bandwidth: string) =>
      claimSpec([exactly('r', { capacity: { requests: { bandwidth } } })]);
    made.claim('c1', share('1500Mi'));
    made.claim('c2', share('2Gi'));
    made.claim('c3', claimSpec([exactly('r')]));
    const [claim] = await made.written(using('c1'));
    expect(claim?.status?.allocation?.devices?.results?.[0]).toMatchObject({
      consumedCapacity: { bandwidth: '2Gi' },
      shareID: expect.stringMatching(/^[0-9a-f-]{36}$/),
    });
    expect(made.take(using('c2')).refused).toBeUndefined();
    expect(made.take(using('c3')).refused).toBe('cannot allocate all claims');
  });

  it('waits until devices are ready to be bound', async () => {
    const made = bench();
    const conditions = { bindingConditions: ['Attached'], bindingFailureConditions: ['Failed'] };
    made.slice('a', slice('a', [{ ...model('x', 'A'), ...conditions }]));
    made.claim('gpu', claimSpec([exactly('r')]));
    const { state, info } = made.take(using('gpu'));
    let ended: string | undefined;
    const binding = made.profile
      .preBind(state, info, 'a', new AbortController().signal)
      .then((status) => {
        ended = status?.reasons[0] ?? 'bound';
      });
    const tell = (type: string) => {
      const [claim] = made.client.all(RESOURCE_CLAIMS) as ResourceClaim[];
      if (!claim?.status?.allocation) throw new Error('not allocated yet');
      const told = [
        { driver: DRIVER, pool: 'a', device: 'x', conditions: [{ type, status: 'True' }] },
      ];
      const metadata = { ...claim.metadata, resourceVersion: '1000' };
      made.devices.resourceClaims.set(
        'gpu',
        { spec: claim.spec, status: { ...claim.status, devices: told } },
        metadata,
      );
    };
    await expect.poll(() => made.client.all(RESOURCE_CLAIMS)[0]?.status?.allocation).toBeDefined();
    await made.clock.advance(1000);
    expect(ended).toBeUndefined();
    tell('Attached');
    await made.clock.advance(1000);
    await binding;
    expect(ended).toBe('bound');
  });

  it.each([
    ['10ms', '0/2 nodes are available: 2 timed out trying to allocate devices.'],
    ['0s', 'b'],
    [undefined, 'b'],
  ])('searches on a node for filterTimeout %s at most', async (filterTimeout, expected) => {
    const { profiles } = readConfig({
      ...{ apiVersion: CONFIG_API_VERSION, kind: 'KubeSchedulerConfiguration' },
      profiles: [{ pluginConfig: [{ name: 'DynamicResources', args: { filterTimeout } }] }],
    });
    const made = bench(profiles);
    // A millisecond passes with every look at the clock.
    let time = 0;
    made.clock.now = () => ++time;
    const devices = Array.from({ length: 40 }, (_, i) => model(`d${i}`, 'A'));
    made.slice('a', slice('a', devices));
    made.slice('b', slice('b', devices));
    made.claim('gpu', claimSpec([exactly('r', { count: 30 })]));
    expect(await made.why(using('gpu'))).toBe(expected);
  });

  it('tells whose selector is wrong', async () => {
    const made = bench();
    made.slice('a', slice('a', [model('x', 'A')]));
    made.claim('typo', claimSpec([exactly('r', cel('device.attribute == 1'))]));
    expect(await made.why(using('typo'))).toMatch(
      /^claim default\/typo: selector #0 on device gpu.example.com\/a\/x: CEL compile error: .*undefined field 'attribute'/,
    );
    made.claim('missing', claimSpec([exactly('r', cel('device.attributes["x.y"].z == 1'))]));
    expect(await made.why(using('missing'))).toContain('CEL runtime error: no such key: z');
    const guarded = 'has(device.attributes["x.y"].z) && device.attributes["x.y"].z == 1';
    made.claim('guarded', claimSpec([exactly('r', cel(guarded))]));
    expect(await made.why(using('guarded'))).toBe(
      '0/2 nodes are available: 2 cannot allocate all claims.',
    );
  });
});
