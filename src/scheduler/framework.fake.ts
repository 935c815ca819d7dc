import type { ObjectKey } from '../api/resource-types.ts';
import type {
  CSIDriver,
  CSINode,
  CSIStorageCapacity,
  DeviceClass,
  Node,
  PersistentVolume,
  PersistentVolumeClaim,
  Pod,
  ResourceClaim,
  ResourceSlice,
  StorageClass,
  StoredMeta,
} from '../api/types.ts';
import { FakeClient } from '../client/client.fake.ts';
import type { InformerHandler, Lister } from '../client/client.ts';
import { FakeEvents } from '../client/events.fake.ts';
import { createInformer } from '../client/informer.ts';
import { FakeClock } from '../util/clock.fake.ts';
import { silent } from '../util/log.ts';
import { Metrics } from '../util/metrics.ts';
import { Cache } from './cache.ts';
import { clusterView } from './cluster-view.ts';
import { type ProfileConfig, readConfig } from './config.ts';
import { SchedulingCycle } from './cycle.ts';
import { CycleState } from './cycle-state.ts';
import { DeviceView } from './devices/device-view.ts';
import { Evictor } from './evictor.ts';
import { schedulerMetrics } from './metrics.ts';
import { Nominator } from './nominator.ts';
import { PodInfo } from './pod-info.ts';
import { PodStatusWriter } from './pod-status.ts';
import type { Profile } from './profile.ts';
import { createProfiles } from './profiles.ts';
import { WaitingPods } from './waiting-pods.ts';

/** A cache and profiles without queue, loop or API server: for tests of single decisions. */
export function testBench(profiles: readonly ProfileConfig[] = readConfig(undefined).profiles) {
  const client = new FakeClient();
  const clock = new FakeClock();
  const events = new FakeEvents();
  const view = clusterView((type, selection) => createInformer(client, type, selection));
  const cache = new Cache({ clock });
  const nominator = new Nominator();
  const base = { client, clock, events, log: silent };
  const statusWriter = new PodStatusWriter(base);
  const storage = fakeStorage();
  const devices = fakeDevices();
  const namespaces = new Map<string, Record<string, string>>();
  const made = createProfiles(profiles, {
    ...base,
    nominator,
    metrics: schedulerMetrics(new Metrics()),
    evictor: new Evictor({ ...base, nominator, statusWriter, activate: () => {} }),
    extenders: [],
    ignoredResources: [],
    waitingPods: new WaitingPods({ clock }),
    random: () => 0,
    snapshot: () => cache.current,
    siblings: view,
    storage,
    devices: new DeviceView(devices),
    budgets: view.budgets,
    namespaceLabels: (name) => namespaces.get(name) ?? {},
  });
  const [profile] = made.values();
  if (!profile) throw new Error('no profile');
  const cycle = new SchedulingCycle(
    { extenders: [], random: () => 0 },
    { percentageOfNodesToScore: 100 },
  );
  return {
    ...{
      client,
      cache,
      nominator,
      profile,
      profiles: made,
      namespaces,
      storage,
      devices,
      view,
      clock,
    },
    addNodes(...nodes: Node[]) {
      for (const node of nodes) cache.setNode(node);
    },
    addPods(...pods: Pod[]) {
      for (const pod of pods) cache.addPod(new PodInfo(pod));
    },
    place: (pod: Pod) => cycle.place(profile, new CycleState(), new PodInfo(pod), cache.snapshot()),
  };
}

export function testProfiles(profiles: readonly ProfileConfig[]): Map<string, Profile> {
  return testBench(profiles).profiles;
}

/** Storage objects by hand: `storage.claims.set(…)`. */
function fakeStorage() {
  return {
    claims: new FakeLister<PersistentVolumeClaim>(),
    volumes: new FakeLister<PersistentVolume>(),
    storageClasses: new FakeLister<StorageClass>(),
    csiNodes: new FakeLister<CSINode>(),
    csiDrivers: new FakeLister<CSIDriver>(),
    csiCapacities: new FakeLister<CSIStorageCapacity>(),
  };
}

/** Devices and claims by hand, as above. */
function fakeDevices() {
  return {
    resourceClaims: new FakeLister<ResourceClaim>(),
    resourceSlices: new FakeLister<ResourceSlice>(),
    deviceClasses: new FakeLister<DeviceClass>(),
  };
}

class FakeLister<T extends { metadata: StoredMeta }> implements Lister<T> {
  readonly #objects = new Map<string, T>();
  readonly #handlers: InformerHandler<T>[] = [];
  /** The newest that a test has told of. */
  revision = 0;

  addHandler(handler: InformerHandler<T>): void {
    this.#handlers.push(handler);
  }

  /** What a test says of an object; the rest of its metadata is made up. */
  set(name: string, fields: object, metadata: object = {}): void {
    const namespace = 'namespace' in metadata ? String(metadata.namespace) : '';
    const object = { metadata: { name, namespace, uid: name, ...metadata }, ...fields };
    const key = `${namespace}/${name}`;
    const before = this.#objects.get(key);
    const after = object as unknown as T;
    this.#objects.set(key, after);
    this.revision = Math.max(this.revision, Number(after.metadata.resourceVersion ?? 0));
    for (const handler of this.#handlers) {
      if (before) handler.onUpdate?.(before, after);
      else handler.onAdd?.(after, false);
    }
  }

  get({ namespace, name }: ObjectKey): T | undefined {
    return this.#objects.get(`${namespace}/${name}`);
  }

  list(): T[] {
    return [...this.#objects.values()];
  }

  byIndex(): T[] {
    return [];
  }
}
