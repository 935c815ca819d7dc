import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { PODS } from '../../api/resource-types.ts';
import { RESOURCE_CLAIMS, RESOURCE_SLICES } from '../../api/system-resource-types.ts';
import { World } from '../world.fake.ts';
import { deviceTaintEvictionController } from './device-taint-eviction-controller.ts';
import { evictionTime, taintsOf } from './eviction-time.ts';

const ADDED = Date.UTC(2026, 0, 1);
const taint = (more: object = {}) => ({
  ...{ key: 'broken', effect: 'NoExecute', timeAdded: new Date(ADDED).toISOString() },
  ...more,
});
const result = { request: 'r', driver: 'd.io', pool: 'p', device: 'gpu-0' };

describe('evictionTime', () => {
  const for30 = { key: 'broken', operator: 'Exists', tolerationSeconds: 30 };
  it.each<[string, number | undefined, object[], object[]]>([
    ['without a taint', undefined, [], []],
    [
      'with a taint that only keeps new ones away',
      undefined,
      [taint({ effect: 'NoSchedule' })],
      [],
    ],
    ['with a taint that says something only', undefined, [taint({ effect: 'None' })], []],
    ['at once', 0, [taint()], []],
    ['after the time that is tolerated', 30, [taint()], [for30]],
    [
      'after the shortest of them',
      5,
      [taint()],
      [for30, { operator: 'Exists', tolerationSeconds: 5 }],
    ],
    ['never where one tolerates it for ever', undefined, [taint()], [{ operator: 'Exists' }]],
    [
      'at once where another value is tolerated',
      0,
      [taint({ value: 'a' })],
      [{ key: 'broken', value: 'b' }],
    ],
    [
      'at once where another effect is tolerated',
      0,
      [taint()],
      [{ operator: 'Exists', effect: 'NoSchedule' }],
    ],
    ['for the first of several taints', 0, [taint(), taint({ key: 'old' })], [for30]],
  ])('%s', (_, seconds, taints, tolerations) => {
    const at = evictionTime({ ...result, tolerations } as never, taints as never);
    expect(at).toBe(seconds === undefined ? undefined : ADDED + seconds * 1000);
  });
});

const slice = (name: string, generation: number, taints: object[]) =>
  ({
    metadata: { name },
    spec: {
      driver: 'd.io',
      pool: { name: 'p', generation, resourceSliceCount: 1 },
      devices: [
        { name: 'gpu-0', taints },
        { name: 'gpu-1', taints: [taint()] },
      ],
    },
  }) as never;

describe('taintsOf', () => {
  it('takes the newest description of the pool', () => {
    const pool = [slice('old', 1, [taint()]), slice('new', 2, [])];
    expect(taintsOf(result, pool)).toEqual([]);
    expect(taintsOf({ ...result, device: 'gpu-1' }, pool)).toHaveLength(1);
  });
});

describe('device taint eviction controller', () => {
  let world: World;
  beforeEach(() => {
    world = new World();
  });
  afterEach(() => world.stop());

  const start = (tolerations: object[]) => {
    const use = (name: string) => {
      const pod = world.client.seed(PODS, {
        metadata: { namespace: 'a', name, uid: `uid-${name}` },
        spec: {
          nodeName: 'n',
          containers: [],
          resourceClaims: [{ name: 'c', resourceClaimName: name }],
        },
      } as never);
      return pod;
    };
    for (const name of ['first', 'second']) use(name);
    const claim = (name: string, device: string) =>
      world.client.seed(RESOURCE_CLAIMS, {
        metadata: { namespace: 'a', name },
        spec: {},
        status: {
          reservedFor: [{ resource: 'pods', name, uid: `uid-${name}` }],
          allocation: { devices: { results: [{ ...result, device, tolerations }] } },
        },
      } as never);
    claim('first', 'gpu-0');
    claim('second', 'gpu-2');
    world.start([deviceTaintEvictionController]);
  };
  const names = () =>
    world.client
      .all(PODS)
      .filter(({ metadata }) => !metadata.deletionTimestamp)
      .map(({ metadata }) => metadata.name);
  const events = () => world.events.lines.map((line) => line.replace(/^Normal /, ''));

  it('takes the Pod of a device that gets a taint, and tells why', async () => {
    world.client.seed(RESOURCE_SLICES, slice('s', 1, []));
    start([]);
    await world.atRest();
    expect(names()).toEqual(['first', 'second']);
    world.client.seed(RESOURCE_SLICES, slice('s', 1, [taint()]));
    await world.until(() => expect(names()).toEqual(['second']));
    await world.atRest();
    expect(events()).toEqual(['DeviceTaintManagerEviction a/first: Marking for deletion']);
    const first = world.client.all(PODS).find(({ metadata }) => metadata.name === 'first');
    expect(first?.status?.conditions).toMatchObject([
      { type: 'DisruptionTarget', status: 'True', reason: 'DeletionByDeviceTaintManager' },
    ]);
  });

  it('lets it stay when the taint goes before the time is over', async () => {
    const timeAdded = new Date().toISOString();
    world.client.seed(RESOURCE_SLICES, slice('s', 1, [taint({ timeAdded })]));
    start([{ operator: 'Exists', tolerationSeconds: 3600 }]);
    await world.atRest();
    world.client.seed(RESOURCE_SLICES, slice('s', 1, []));
    await world.until(() =>
      expect(events()).toEqual(['DeviceTaintManagerEviction a/first: Cancelling deletion']),
    );
    expect(names()).toEqual(['first', 'second']);
  });
});
