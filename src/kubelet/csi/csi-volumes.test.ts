import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { NODES } from '../../api/resource-types.ts';
import { CSI_DRIVERS, CSI_NODES, VOLUME_ATTACHMENTS } from '../../api/system-resource-types.ts';
import type { Node } from '../../api/types.ts';
import { FakeClient } from '../../client/client.fake.ts';
import type { MountOptions, Mounts } from '../../host/mounts.ts';
import { FakeClock } from '../../util/clock.fake.ts';
import { podWith } from '../pods.fake.ts';
import { CsiDrivers } from './csi-drivers.ts';
import type { CsiNodeClient } from './csi-node-client.ts';
import { type CsiVolume, sha256 } from './csi-volume.ts';
import { CsiVolumes } from './csi-volumes.ts';

let rootDir = '';
beforeEach(() => {
  rootDir = mkdtempSync(join(tmpdir(), 'k8ts-csi-'));
});
afterEach(() => rmSync(rootDir, { recursive: true, force: true }));

const DRIVER = 'disk.test';
const POD = podWith({}, { uid: 'u1' });
const VOLUME: CsiVolume = {
  specName: 'pv-1',
  driver: DRIVER,
  handle: 'handle-1',
  attributes: {},
  fsType: '',
  mountOptions: [],
  accessModes: ['ReadWriteOnce'],
  readOnly: false,
  inline: false,
  block: false,
};

/** The mounts of a machine that has only what a driver mounts. */
class FakeMounts implements Mounts {
  readonly points = new Set<string>();
  async list() {
    return [...this.points].map((path) => ({ path, fsType: '', source: '', options: [] }));
  }
  async mount({ target }: MountOptions) {
    mkdirSync(target, { recursive: true });
    this.points.add(target);
  }
  async unmount(target: string) {
    this.points.delete(target);
  }
}

/** A driver that mounts; `fails` are methods that answer with an error. */
function driverOn(mounts: FakeMounts) {
  const fails = new Set<string>();
  const calls: string[] = [];
  const called = (method: string): void => {
    calls.push(method);
    if (fails.has(method)) throw new Error(`${method} fails`);
  };
  const client: CsiNodeClient = {
    info: async () => ({ nodeId: 'n', maxVolumesPerNode: 0, topology: {} }),
    capabilities: async () => new Set(['STAGE_UNSTAGE_VOLUME']),
    async stage({ stagingTargetPath }) {
      called('stage');
      await mounts.mount({ source: '', target: stagingTargetPath });
    },
    async publish({ targetPath }) {
      called('publish');
      await mounts.mount({ source: '', target: targetPath });
    },
    async unpublish(_id, target) {
      called('unpublish');
      await mounts.unmount(target);
    },
    async unstage(_id, target) {
      called('unstage');
      await mounts.unmount(target);
    },
    stats: async () => [],
    expand: async () => called('expand'),
    close: () => {},
  };
  return { client, calls, fails };
}

interface World {
  api: FakeClient;
  mounts: FakeMounts;
  driver: ReturnType<typeof driverOn>;
}

function makeWorld(): World {
  const api = new FakeClient();
  api.seed(CSI_DRIVERS, { ...CSI_DRIVER, spec: { attachRequired: false } });
  api.seed(NODES, { apiVersion: 'v1', kind: 'Node', metadata: { name: 'node-1' } });
  const mounts = new FakeMounts();
  return { api, mounts, driver: driverOn(mounts) };
}

const CSI_DRIVER = {
  apiVersion: 'storage.k8s.io/v1',
  kind: 'CSIDriver',
  metadata: { name: DRIVER },
};

/** A kubelet that has just started. It knows the driver once that has registered. */
async function kubelet({ api, mounts, driver }: World, { registered = true } = {}) {
  const drivers = new CsiDrivers({
    client: api,
    nodeName: 'node-1',
    node: () => undefined,
    connect: () => driver.client,
  });
  if (registered) await drivers.add(DRIVER, '/socket', new AbortController().signal);
  return new CsiVolumes({
    client: api,
    drivers,
    mounts,
    rootDir,
    nodeName: 'node-1',
    tellInUse: async () => void driver.calls.push('tell'),
    secret: async () => ({}),
    token: async () => '',
  });
}

/** Files and directories that the kubelet keeps below its root. */
const kept = (): string[] =>
  readdirSync(rootDir, { recursive: true, encoding: 'utf8' }).filter((name) =>
    /pv-1|globalmount/.test(name),
  );

describe('CsiVolumes', () => {
  it('takes away what an earlier kubelet published', async () => {
    const world = makeWorld();
    await (await kubelet(world)).setUp(POD, VOLUME);
    expect(world.mounts.points.size).toBe(2);
    await (await kubelet(world)).tearDown('u1');
    expect(world.driver.calls).toEqual(['stage', 'publish', 'unpublish', 'unstage']);
    expect(world.mounts.points.size).toBe(0);
    expect(kept()).toEqual([]);
  });

  it('takes away what was only staged when a kubelet ended', async () => {
    const world = makeWorld();
    world.driver.fails.add('publish');
    await expect((await kubelet(world)).setUp(POD, VOLUME)).rejects.toThrow('publish fails');
    await (await kubelet(world)).tearDown('u1');
    expect(world.mounts.points.size).toBe(0);
    expect(kept()).toEqual([]);
  });

  it('remembers a volume until it is unstaged as well', async () => {
    const world = makeWorld();
    const volumes = await kubelet(world);
    await volumes.setUp(POD, VOLUME);
    world.driver.fails.add('unstage');
    await expect(volumes.tearDown('u1')).rejects.toThrow('unstage fails');
    world.driver.fails.clear();
    await (await kubelet(world)).tearDown('u1');
    expect(world.mounts.points.size).toBe(0);
    expect(kept()).toEqual([]);
  });

  it('tells of a volume that is attached before it touches it, until it has let it go', async () => {
    const world = makeWorld();
    world.api.seed(VOLUME_ATTACHMENTS, {
      apiVersion: 'storage.k8s.io/v1',
      kind: 'VolumeAttachment',
      metadata: { name: `csi-${sha256(`handle-1${DRIVER}node-1`)}` },
      spec: { attacher: DRIVER, nodeName: 'node-1', source: {} },
      status: { attached: true, attachmentMetadata: { device: '/dev/x' } },
    });
    const driver = await world.api.get(CSI_DRIVERS, { namespace: '', name: DRIVER });
    await world.api.update(CSI_DRIVERS, { ...driver, spec: { attachRequired: true } });
    const volumes = await kubelet(world);
    await volumes.setUp(POD, VOLUME);
    expect(world.driver.calls).toEqual(['tell', 'stage', 'publish']);
    expect(volumes.volumesInUse()).toEqual([`kubernetes.io/csi/${DRIVER}^handle-1`]);
    const later = await kubelet(world);
    await later.open();
    expect(later.volumesInUse()).toEqual([`kubernetes.io/csi/${DRIVER}^handle-1`]);
    await later.tearDown('u1');
    expect(later.volumesInUse()).toEqual([]);
  });

  it('waits for a driver that is not here now', async () => {
    const world = makeWorld();
    await (await kubelet(world)).setUp(POD, VOLUME);
    const volumes = await kubelet(world, { registered: false });
    await expect(volumes.tearDown('u1')).rejects.toThrow(
      'UnmountVolume.TearDown failed for volume "pv-1" : driver name disk.test not found in the list of registered CSI drivers',
    );
    expect(world.mounts.points.size).toBe(2);
    expect(kept()).not.toEqual([]);
  });

  it('unmounts by itself what a driver left that was uninstalled', async () => {
    const world = makeWorld();
    await (await kubelet(world)).setUp(POD, VOLUME);
    await world.api.delete(CSI_DRIVERS, { namespace: '', name: DRIVER });
    await (await kubelet(world, { registered: false })).tearDown('u1');
    expect(world.mounts.points.size).toBe(0);
    expect(kept()).toEqual([]);
  });

  it('never deletes what is still mounted', async () => {
    const world = makeWorld();
    const volumes = await kubelet(world);
    const { hostPath } = await volumes.setUp(POD, VOLUME);
    world.mounts.unmount = async () => {};
    await expect(volumes.tearDown('u1')).rejects.toThrow(`${hostPath} is still mounted`);
    expect(existsSync(hostPath)).toBe(true);
  });
});

describe('CsiDrivers', () => {
  it('tells the node of all that register at once', async () => {
    const { api, driver } = makeWorld();
    const connect = () => driver.client;
    const drivers = new CsiDrivers({
      client: api,
      nodeName: 'node-1',
      node: () => undefined,
      connect,
    });
    const { signal } = new AbortController();
    const names = ['one.test', 'two.test', 'three.test'];
    await Promise.all(names.map((name) => drivers.add(name, '/socket', signal)));
    const { metadata } = await api.get(NODES, { namespace: '', name: 'node-1' });
    const told = metadata.annotations?.['csi.volume.kubernetes.io/nodeid'] ?? '{}';
    expect(Object.keys(JSON.parse(told)).toSorted()).toEqual(names.toSorted());
  });

  it('has the node’s object made as soon as there is a node, before any driver', async () => {
    const { api } = makeWorld();
    const clock = new FakeClock();
    let node: Node | undefined;
    const drivers = new CsiDrivers({ client: api, nodeName: 'node-1', node: () => node });
    const announced = drivers.announce(clock, new AbortController().signal);
    await clock.advance(10_000);
    node = { apiVersion: 'v1', kind: 'Node', metadata: { name: 'node-1', uid: 'u' } } as Node;
    await clock.advance(2000);
    await announced;
    const made = await api.get(CSI_NODES, { namespace: '', name: 'node-1' });
    expect(made.spec.drivers).toEqual([]);
    expect(made.metadata.ownerReferences).toMatchObject([{ kind: 'Node', uid: 'u' }]);
  });
});
