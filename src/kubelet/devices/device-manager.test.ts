import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { FakeClock } from '../../util/clock.fake.ts';
import { createLogger } from '../../util/log.ts';
import { podWith } from '../pods.fake.ts';
import { DeviceManager } from './device-manager.ts';
import type { AllocateAnswer, Device, DevicePlugin } from './device-plugin.ts';
import { checkRegistration } from './device-registration.ts';

const RESOURCE = 'vendor.test/thing';
const OPTIONS = { preStartRequired: false, getPreferredAllocationAvailable: false };
const ANSWER: AllocateAnswer = {
  envs: {},
  mounts: [],
  devices: [],
  annotations: {},
  cdiDevices: [],
};
const signal = new AbortController().signal;

let directory = '';
let clock = new FakeClock();
const gone = new Set<string>();
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'k8ts-devices-'));
  clock = new FakeClock();
  gone.clear();
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

/** A plugin that tells its devices once and stays. */
function pluginWith(...devices: string[]): DevicePlugin {
  const all = devices.map((name): Device => {
    const [ID = '', health = 'Healthy'] = name.split('=');
    return { ID, health, topology: null };
  });
  return {
    options: async () => OPTIONS,
    async *watch(stop) {
      yield all;
      await new Promise((done) => stop.addEventListener('abort', done, { once: true }));
    },
    preferred: async () => [],
    allocate: async () => ANSWER,
    preStart: async () => {},
    close: () => {},
  };
}

/** A kubelet that has just started; a plugin is there when it has registered again. */
async function manager(plugin?: DevicePlugin): Promise<DeviceManager> {
  const changed = Promise.withResolvers<void>();
  const devices = new DeviceManager({
    clock,
    log: createLogger('test', -1),
    directory,
    onChange: () => changed.resolve(),
    isGone: (uid) => gone.has(uid),
    connect: () => plugin ?? pluginWith(),
  });
  await devices.open();
  if (plugin) {
    await devices.add(RESOURCE, '/socket', OPTIONS);
    await changed.promise;
  }
  return devices;
}

const asking = (uid: string, ...counts: number[]) =>
  podWith(
    {
      containers: counts.map((count, i) => ({
        name: `c${i}`,
        resources: { limits: { [RESOURCE]: String(count) } },
      })),
    },
    { uid },
  );
const idsOf = (devices: DeviceManager, uid: string) =>
  devices.grantsOf(uid).map(({ container, ids }) => [container, ...ids]);

describe('DeviceManager', () => {
  it('gives no device twice, also after a restart', async () => {
    await (await manager(pluginWith('a', 'b', 'c'))).allocate(asking('one', 1, 1), signal);
    const devices = await manager(pluginWith('a', 'b', 'c'));
    await devices.allocate(asking('two', 1), signal);
    expect(idsOf(devices, 'one')).toEqual([
      ['c0', 'a'],
      ['c1', 'b'],
    ]);
    expect(idsOf(devices, 'two')).toEqual([['c0', 'c']]);
    await expect(devices.allocate(asking('three', 1), signal)).rejects.toThrow(
      `requested number of devices unavailable for ${RESOURCE}. Requested: 1, Available: 0`,
    );
  });

  it('gives what pods had that are gone', async () => {
    const devices = await manager(pluginWith('a'));
    await devices.allocate(asking('one', 1), signal);
    gone.add('one');
    await devices.allocate(asking('two', 1), signal);
    expect(idsOf(devices, 'two')).toEqual([['c0', 'a']]);
  });

  it('passes the devices of init containers on to the containers after them', async () => {
    const devices = await manager(pluginWith('a', 'b'));
    const limits = { [RESOURCE]: '2' };
    const pod = podWith({
      initContainers: [{ name: 'init', resources: { limits } }],
      containers: [{ name: 'main', resources: { limits } }],
    });
    await devices.allocate(pod, signal);
    expect(idsOf(devices, 'uid-1')).toEqual([
      ['init', 'a', 'b'],
      ['main', 'a', 'b'],
    ]);
  });

  it('gives no unhealthy device, and counts it in the capacity alone', async () => {
    const devices = await manager(pluginWith('a=Unhealthy', 'b'));
    expect(devices.resources()).toEqual({
      capacity: { [RESOURCE]: '2' },
      allocatable: { [RESOURCE]: '1' },
    });
    await devices.allocate(asking('one', 1), signal);
    expect(idsOf(devices, 'one')).toEqual([['c0', 'b']]);
  });

  it('takes the resource of a plugin from the node that does not come back', async () => {
    const devices = await manager(pluginWith('a'));
    devices.remove(RESOURCE);
    await devices.close();
    expect(devices.resources().capacity).toEqual({ [RESOURCE]: '1' });
    expect(devices.resources().allocatable).toEqual({ [RESOURCE]: '0' });
    await clock.advance(300_000);
    expect(devices.resources().capacity).toEqual({ [RESOURCE]: '0' });
  });

  it('goes on without a checkpoint that cannot be read', async () => {
    writeFileSync(join(directory, 'kubelet_internal_checkpoint'), '{"data":{},"checksum":"x"}');
    const devices = await manager(pluginWith('a'));
    await devices.allocate(asking('one', 1), signal);
    expect(idsOf(devices, 'one')).toEqual([['c0', 'a']]);
  });
});

describe('checkRegistration', () => {
  it.each([
    ['v1alpha1', RESOURCE, 'requested API version "v1alpha1" is not supported by kubelet'],
    ['v1beta1', 'cpu', 'the ResourceName "cpu" is invalid'],
    ['v1beta1', 'kubernetes.io/gpu', 'the ResourceName "kubernetes.io/gpu" is invalid'],
    ['v1beta1', 'requests.vendor.test/gpu', 'is invalid'],
  ])('refuses version %s, resource %s', (version, resource, message) => {
    expect(() => checkRegistration(version, resource)).toThrow(message);
  });

  it('takes a vendor’s resource', () => {
    expect(() => checkRegistration('v1beta1', 'nvidia.com/gpu')).not.toThrow();
  });
});
