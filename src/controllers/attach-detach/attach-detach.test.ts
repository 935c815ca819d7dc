import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  NODES,
  PERSISTENT_VOLUME_CLAIMS,
  PERSISTENT_VOLUMES,
  PODS,
} from '../../api/resource-types.ts';
import { CSI_DRIVERS, VOLUME_ATTACHMENTS } from '../../api/system-resource-types.ts';
import { World } from '../world.fake.ts';
import { attachDetachController } from './attach-detach-controller.ts';

let world: World;
beforeEach(() => {
  world = new World();
  for (const name of ['n1', 'n2'])
    world.client.seed(NODES, { metadata: { name }, status: {} } as never);
  world.client.seed(PERSISTENT_VOLUMES, {
    metadata: { name: 'pv' },
    spec: {
      accessModes: ['ReadWriteOnce'],
      csi: { driver: 'd.io', volumeHandle: 'h' },
      claimRef: { namespace: 'a', name: 'data' },
    },
  } as never);
  world.client.seed(PERSISTENT_VOLUME_CLAIMS, {
    metadata: { namespace: 'a', name: 'data' },
    spec: { volumeName: 'pv' },
  } as never);
});
afterEach(() => world.stop());

const pod = (name: string, nodeName: string) =>
  ({
    metadata: { namespace: 'a', name },
    spec: {
      nodeName,
      containers: [],
      volumes: [{ name: 'v', persistentVolumeClaim: { claimName: 'data' } }],
    },
  }) as never;
const attachments = () => world.client.all(VOLUME_ATTACHMENTS);
const attach = async (status: object) => {
  const [one] = attachments();
  await world.client.update(VOLUME_ATTACHMENTS, { ...one, status } as never, {
    subresource: 'status',
  });
};
const node = (name: string) => world.client.get(NODES, { namespace: '', name });
const remove = (name: string) =>
  world.client.delete(PODS, { namespace: 'a', name }, { gracePeriodSeconds: 0 });

describe('attach-detach controller', () => {
  it('attaches, reports, and detaches when the kubelet has let go', async () => {
    world.client.seed(PODS, pod('p', 'n1'));
    world.start([attachDetachController]);
    await world.until(() =>
      expect(attachments()).toMatchObject([
        {
          metadata: { name: expect.stringMatching(/^csi-[0-9a-f]{64}$/) },
          spec: { attacher: 'd.io', nodeName: 'n1', source: { persistentVolumeName: 'pv' } },
        },
      ]),
    );
    await attach({ attached: true });
    const name = 'kubernetes.io/csi/d.io^h';
    await world.until(async () =>
      expect((await node('n1')).status?.volumesAttached).toEqual([{ name, devicePath: '' }]),
    );
    expect(world.events.lines).toEqual([
      'Normal SuccessfulAttachVolume a/p: AttachVolume.Attach succeeded for volume "pv"',
    ]);
    const inUse = {
      ...(await node('n1')),
      status: { ...(await node('n1')).status, volumesInUse: [name] },
    };
    await world.client.update(NODES, inUse as never, { subresource: 'status' });
    await remove('p');
    await world.atRest();
    expect(attachments()).toHaveLength(1);
    const free = { ...(await node('n1')), status: { volumesAttached: [{ name, devicePath: '' }] } };
    await world.client.update(NODES, free as never, { subresource: 'status' });
    await world.until(() => expect(attachments()).toHaveLength(0));
    await world.until(async () => expect((await node('n1')).status?.volumesAttached).toEqual([]));
  });

  it('leaves attachments alone that others made', async () => {
    world.client.seed(VOLUME_ATTACHMENTS, {
      metadata: { name: 'va-e2e' },
      spec: { attacher: 'e.io', nodeName: 'n1', source: { persistentVolumeName: 'none' } },
      status: { attached: true },
    } as never);
    world.start([attachDetachController]);
    await world.atRest();
    await attach({ attached: false });
    await world.atRest();
    expect(attachments()).toHaveLength(1);
  });

  it('lets one node have a volume, and hands it over', async () => {
    world.client.seed(PODS, pod('p', 'n1'));
    world.start([attachDetachController]);
    await world.until(() => expect(attachments()).toHaveLength(1));
    await world.client.create(PODS, pod('q', 'n2'));
    await world.until(() =>
      expect(world.events.lines.join()).toContain('Multi-Attach error for volume "pv"'),
    );
    expect(attachments()).toHaveLength(1);
    await remove('p');
    await world.until(() => expect(attachments().map(({ spec }) => spec.nodeName)).toEqual(['n2']));
  });

  it('tells what a driver says, and asks no driver that does not attach', async () => {
    world.client.seed(PODS, pod('p', 'n1'));
    world.start([attachDetachController]);
    await world.until(() => expect(attachments()).toHaveLength(1));
    await attach({ attached: false, attachError: { message: 'no room' } });
    await world.until(() =>
      expect(world.events.lines).toContain(
        'Warning FailedAttachVolume a/p: AttachVolume.Attach failed for volume "pv" : no room',
      ),
    );
    await world.stop();
    world = new World();
    world.client.seed(CSI_DRIVERS, {
      metadata: { name: 'd.io' },
      spec: { attachRequired: false },
    } as never);
    world.client.seed(PODS, pod('p', 'n1'));
    world.start([attachDetachController]);
    await world.atRest();
    expect(attachments()).toHaveLength(0);
  });
});
