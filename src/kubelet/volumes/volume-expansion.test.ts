import { beforeEach, describe, expect, it } from 'vitest';
import { PERSISTENT_VOLUME_CLAIMS, PERSISTENT_VOLUMES } from '../../api/resource-types.ts';
import { FakeClient } from '../../client/client.fake.ts';
import { FakeEvents } from '../../client/events.fake.ts';
import { FakeClock } from '../../util/clock.fake.ts';
import { silent } from '../../util/log.ts';
import type { CsiVolumes } from '../csi/csi-volumes.ts';
import { podWith } from '../pods.fake.ts';
import { VolumeExpansion } from './volume-expansion.ts';
import type { VolumeManager } from './volume-manager.ts';

const KEY = { namespace: 'default', name: 'data' };
let api = new FakeClient();
let events = new FakeEvents();
let asked: [path: string, bytes: number][] = [];
let answer: () => boolean = () => true;

beforeEach(() => {
  api = new FakeClient();
  events = new FakeEvents();
  asked = [];
  answer = () => true;
});

/** A pod that has mounted a claim of 1Gi, of which the volume has this size. */
function expansion(size: string, status: object = {}): VolumeExpansion {
  api.seed(PERSISTENT_VOLUMES, {
    apiVersion: 'v1',
    kind: 'PersistentVolume',
    metadata: { name: 'pv-1' },
    spec: { capacity: { storage: size }, csi: { driver: 'disk.test', volumeHandle: 'h' } },
  });
  api.seed(PERSISTENT_VOLUME_CLAIMS, {
    apiVersion: 'v1',
    kind: 'PersistentVolumeClaim',
    metadata: KEY,
    spec: { volumeName: 'pv-1', resources: { requests: { storage: '1Gi' } } },
    status: { phase: 'Bound', capacity: { storage: '1Gi' }, ...status },
  });
  const pod = podWith({
    volumes: [{ name: 'v', persistentVolumeClaim: { claimName: KEY.name } }],
  });
  const volumes = { mountedFromOutside: () => [{ name: 'v', hostPath: '/mounted' }] };
  const csi = {
    async expand(_volume: unknown, path: string, bytes: number) {
      asked.push([path, bytes]);
      return answer();
    },
  };
  return new VolumeExpansion({
    client: api,
    recorder: events,
    clock: new FakeClock(),
    log: silent,
    volumes: volumes as unknown as VolumeManager,
    csi: csi as unknown as CsiVolumes,
    pods: () => [pod],
  });
}

const PENDING = { conditions: [{ type: 'FileSystemResizePending', status: 'True' }] };

describe('VolumeExpansion', () => {
  it('asks the driver, and tells that the claim has grown', async () => {
    await expansion('2Gi', PENDING).look();
    expect(asked).toEqual([['/mounted', 2 ** 31]]);
    const { status } = await api.get(PERSISTENT_VOLUME_CLAIMS, KEY);
    expect(status).toMatchObject({ capacity: { storage: '2Gi' }, conditions: [] });
    expect(events.lines).toEqual([
      'Normal FileSystemResizeSuccessful default/web: MountVolume.NodeExpandVolume succeeded for volume "pv-1"',
    ]);
  });

  it('asks nothing while the volume has not grown, or nobody waits', async () => {
    await expansion('1Gi', PENDING).look();
    expect(asked).toEqual([]);
  });

  it('tells of a driver that fails, and leaves the claim as it is', async () => {
    answer = () => {
      throw new Error('no room');
    };
    await expansion('2Gi', PENDING).look();
    const { status } = await api.get(PERSISTENT_VOLUME_CLAIMS, KEY);
    expect(status?.capacity).toEqual({ storage: '1Gi' });
    expect(events.lines[0]).toMatch(/VolumeResizeFailed .* failed for volume "pv-1" : no room$/);
  });
});
