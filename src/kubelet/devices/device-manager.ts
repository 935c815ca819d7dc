import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Pod } from '../../api/types.ts';
import type { Clock } from '../../util/clock.ts';
import { errorMessage } from '../../util/errors.ts';
import type { Logger } from '../../util/log.ts';
import { Turns } from '../../util/turns.ts';
import { type DeviceWish, deviceChoice, deviceWishes, settleChoice } from './choose-devices.ts';
import { DeviceCheckpoint, type DeviceGrant } from './device-checkpoint.ts';
import {
  connectDevicePlugin,
  type Device,
  type DevicePlugin,
  type PluginOptions,
} from './device-plugin.ts';

export interface DeviceManagerDeps {
  clock: Clock;
  log: Logger;
  /** `device-plugins` below the root directory. */
  directory: string;
  /** Devices have come, gone or changed. */
  onChange(): void;
  /** Whether it is known that no source has the pod any more. */
  isGone(podUid: string): boolean;
  connect?(socket: string): DevicePlugin;
}

interface Endpoint {
  readonly plugin: DevicePlugin;
  readonly options: PluginOptions;
  readonly stop: AbortController;
  devices: ReadonlyMap<string, Device>;
  /** Since when the plugin does not answer. */
  goneAt: number | undefined;
}

/** What the devices of a resource come to in the node's status. */
export interface DeviceResources {
  readonly capacity: Readonly<Record<string, string>>;
  readonly allocatable: Readonly<Record<string, string>>;
}

// Upstream's endpointStopGracePeriod: a plugin that is upgraded is back before its resource is taken from the node.
const GRACE_MS = 300_000;

/** The devices of this node: who offers them, and which container has which. */
export class DeviceManager {
  readonly #deps: DeviceManagerDeps;
  readonly #endpoints = new Map<string, Endpoint>();
  readonly #checkpoint: DeviceCheckpoint;
  readonly #turns = new Turns();
  readonly #following = new Set<Promise<void>>();
  /** Resources that plugins have ever offered. */
  readonly #known = new Set<string>();
  #grants: readonly DeviceGrant[] = [];

  constructor(deps: DeviceManagerDeps) {
    this.#deps = deps;
    this.#checkpoint = new DeviceCheckpoint(join(deps.directory, 'kubelet_internal_checkpoint'));
  }

  /** Takes up what an earlier kubelet has granted; comes before the first pod is worked on. */
  async open(): Promise<void> {
    const { directory, log } = this.#deps;
    await mkdir(directory, { recursive: true, mode: 0o750 });
    try {
      const { grants, resources } = this.#checkpoint.load();
      this.#grants = grants;
      for (const resource of resources) this.#known.add(resource);
    } catch (err) {
      log.error({ err: errorMessage(err) }, 'Which containers have which devices is not known');
    }
  }

  /** Ends the connections to plugins. */
  async close(): Promise<void> {
    for (const { stop } of this.#endpoints.values()) stop.abort();
    await Promise.all(this.#following);
  }

  /** A plugin that serves `resource` on `socket`; it takes the place of an earlier one. */
  async add(
    resource: string,
    socket: string,
    options: PluginOptions | undefined,
    signal?: AbortSignal,
  ): Promise<void> {
    const plugin = (this.#deps.connect ?? connectDevicePlugin)(socket);
    let known: PluginOptions;
    try {
      known = options ?? (await plugin.options(signal));
    } catch (err) {
      plugin.close();
      throw err;
    }
    const endpoint: Endpoint = {
      plugin,
      options: known,
      stop: new AbortController(),
      devices: new Map(),
      goneAt: undefined,
    };
    this.#endpoints.get(resource)?.stop.abort();
    this.#endpoints.set(resource, endpoint);
    this.#known.add(resource);
    this.#save();
    const following = this.#follow(resource, endpoint).finally(() =>
      this.#following.delete(following),
    );
    this.#following.add(following);
  }

  /** The plugin of the resource has gone away. */
  remove(resource: string): void {
    this.#endpoints.get(resource)?.stop.abort();
  }

  /** Hears of the plugin's devices until it ends. */
  async #follow(resource: string, endpoint: Endpoint): Promise<void> {
    const { clock, log, onChange } = this.#deps;
    const { plugin, stop } = endpoint;
    try {
      for await (const devices of plugin.watch(stop.signal)) {
        endpoint.devices = new Map(devices.map((device) => [device.ID, device]));
        log.info({ resource, devices: devices.length }, 'Devices have changed');
        onChange();
      }
    } catch (err) {
      if (!stop.signal.aborted) log.warn({ resource, err: errorMessage(err) }, 'Device plugin');
    }
    plugin.close();
    endpoint.goneAt = clock.now();
    if (this.#endpoints.get(resource) !== endpoint) return;
    log.info({ resource }, 'Device plugin is gone');
    onChange();
    clock.after(GRACE_MS, onChange);
  }

  /** Capacity counts every device, allocatable those that are healthy; a resource that is gone for good counts 0. */
  resources(): DeviceResources {
    const capacity: Record<string, string> = {};
    const allocatable: Record<string, string> = {};
    for (const resource of this.#known) {
      const endpoint = this.#endpoints.get(resource);
      const { goneAt = 0 } = endpoint ?? {};
      const lapsed = goneAt > 0 && this.#deps.clock.now() - goneAt >= GRACE_MS;
      capacity[resource] = String(lapsed ? 0 : (endpoint?.devices.size ?? 0));
      allocatable[resource] = String(this.#healthy(resource).length);
    }
    return { capacity, allocatable };
  }

  /** Whether the pod asks for devices of plugins. */
  wants(pod: Pod): boolean {
    return deviceWishes(pod, (resource) => this.#known.has(resource)).length > 0;
  }

  /** Gives the pod's containers the devices that they ask for; throws when there are too few. Safe to repeat. */
  allocate(pod: Pod, signal: AbortSignal): Promise<void> {
    return this.#turns.run('', async () => {
      this.#grants = this.#grants.filter(({ podUid }) => !this.#deps.isGone(podUid));
      const reusable = new Map<string, string[]>();
      for (const wish of deviceWishes(pod, (resource) => this.#known.has(resource))) {
        const { resource } = wish;
        const ids = await this.#grant(pod, wish, reusable.get(resource) ?? [], signal);
        const passed = (reusable.get(resource) ?? []).filter((id) => !ids.includes(id));
        reusable.set(resource, wish.passesOn ? [...ids, ...passed] : passed);
      }
      this.#save();
    });
  }

  async #grant(
    pod: Pod,
    { container, resource, count }: DeviceWish,
    reusable: readonly string[],
    signal: AbortSignal,
  ): Promise<readonly string[]> {
    const podUid = pod.metadata.uid;
    const before = this.#grants.find(
      (g) => g.podUid === podUid && g.container === container && g.resource === resource,
    );
    if (before) return before.ids;
    const healthy = this.#healthy(resource);
    const endpoint = this.#endpoints.get(resource);
    if (!endpoint || healthy.length === 0) {
      throw new Error(`no healthy devices present; cannot allocate unhealthy devices ${resource}`);
    }
    const taken = new Set(
      this.#grants.filter((g) => g.resource === resource).flatMap(({ ids }) => ids),
    );
    const free = healthy.filter((id) => !taken.has(id));
    const choice = deviceChoice(resource, { free, reusable, count });
    const preferred = endpoint.options.getPreferredAllocationAvailable
      ? await endpoint.plugin.preferred({ ...choice, count }, signal)
      : [];
    const ids = settleChoice(choice, preferred, count);
    const answer = await endpoint.plugin.allocate(ids, signal);
    this.#grants = [...this.#grants, { podUid, container, resource, ids, answer }];
    return ids;
  }

  /** What a container has; asks the plugins first to make it ready where they want to be asked. */
  async prepare(
    podUid: string,
    container: string,
    signal: AbortSignal,
  ): Promise<readonly DeviceGrant[]> {
    const grants = this.grantsOf(podUid).filter((g) => g.container === container);
    for (const { resource, ids } of grants) {
      const endpoint = this.#endpoints.get(resource);
      if (endpoint?.options.preStartRequired) await endpoint.plugin.preStart(ids, signal);
    }
    return grants;
  }

  grantsOf(podUid: string): readonly DeviceGrant[] {
    return this.#grants.filter((g) => g.podUid === podUid);
  }

  /** The devices of every resource that pods can have. */
  healthyDevices(): ReadonlyMap<string, readonly Device[]> {
    return new Map(
      [...this.#endpoints].map(([resource, { devices }]) => [
        resource,
        this.#healthy(resource).flatMap((id) => devices.get(id) ?? []),
      ]),
    );
  }

  deviceOf(resource: string, id: string): Device | undefined {
    return this.#endpoints.get(resource)?.devices.get(id);
  }

  /** The pod's containers have ended for good: others can have its devices. */
  release(podUid: string): void {
    if (this.grantsOf(podUid).length === 0) return;
    this.#grants = this.#grants.filter((g) => g.podUid !== podUid);
    this.#save();
  }

  #healthy(resource: string): string[] {
    const endpoint = this.#endpoints.get(resource);
    if (!endpoint || endpoint.goneAt !== undefined) return [];
    return [...endpoint.devices.values()].filter((d) => d.health === 'Healthy').map((d) => d.ID);
  }

  #save(): void {
    this.#checkpoint.save({ grants: this.#grants, resources: [...this.#known] });
  }
}
