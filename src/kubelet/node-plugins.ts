import { join } from 'node:path';
import type { Pod } from '../api/types.ts';
import type { Client } from '../client/client.ts';
import type { Clock } from '../util/clock.ts';
import type { Logger } from '../util/log.ts';
import { ClaimManager } from './claims/claim-manager.ts';
import type { CsiDrivers } from './csi/csi-drivers.ts';
import { type Plugin, PluginWatcher } from './csi/plugin-watcher.ts';
import { DeviceManager } from './devices/device-manager.ts';
import { serveDeviceRegistration } from './devices/device-registration.ts';
import { servePodResources } from './devices/pod-resources.ts';

export interface NodePluginsDeps {
  client: Client;
  nodeName: string;
  clock: Clock;
  log: Logger;
  /** --root-dir. */
  rootDir: string;
  cpus: number;
  drivers(): CsiDrivers;
  /** Pods that run or are to run. */
  pods(): readonly Pod[];
  /** Whether it is known that no source has the pod any more. */
  isGone(podUid: string): boolean;
  onDevices(): void;
}

/** What extends this node by sockets below the root directory: CSI drivers, device plugins, drivers of claims. */
export class NodePlugins {
  readonly devices: DeviceManager;
  readonly claims: ClaimManager;
  readonly #deps: NodePluginsDeps;

  constructor(deps: NodePluginsDeps) {
    this.#deps = deps;
    const { clock, log, onDevices, isGone } = deps;
    const directory = this.#at('device-plugins');
    this.devices = new DeviceManager({ clock, log, directory, onChange: onDevices, isGone });
    this.claims = new ClaimManager(deps);
  }

  /** Reads what an earlier kubelet had given to pods. */
  async open(): Promise<void> {
    await this.devices.open();
    this.claims.open();
  }

  #at(...parts: string[]): string {
    return join(this.#deps.rootDir, ...parts);
  }

  /** Works until aborted. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, log, cpus, pods } = this.#deps;
    const { devices } = this;
    const watcher = new PluginWatcher({
      clock,
      log,
      directory: this.#at('plugins_registry'),
      onAdd: (plugin) => this.#add(plugin, signal),
      onRemove: (plugin) => this.#remove(plugin, signal),
    });
    await Promise.all([
      watcher.run(signal),
      this.#deps.drivers().announce(clock, signal),
      this.claims.run(signal),
      serveDeviceRegistration({ devices, log, directory: this.#at('device-plugins') }, signal),
      servePodResources(
        { devices, socket: this.#at('pod-resources', 'kubelet.sock'), cpus, pods },
        signal,
      ),
    ]);
  }

  async #add(
    { type, name, endpoint, supportedVersions }: Plugin,
    signal: AbortSignal,
  ): Promise<void> {
    if (type === 'CSIPlugin') return this.#deps.drivers().add(name, endpoint, signal);
    if (type === 'DevicePlugin') return this.devices.add(name, endpoint, undefined, signal);
    if (type === 'DRAPlugin') return this.claims.addDriver(name, endpoint, supportedVersions);
    throw new Error(`plugins of type ${type} are not supported here`);
  }

  async #remove({ type, name }: Plugin, signal: AbortSignal): Promise<void> {
    if (type === 'CSIPlugin') await this.#deps.drivers().remove(name);
    else if (type === 'DRAPlugin') this.claims.removeDriver(name, signal);
    else this.devices.remove(name);
  }
}
