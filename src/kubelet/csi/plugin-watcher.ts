import { type FSWatcher, watch } from 'node:fs';
import { mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock } from '../../util/clock.ts';
import { errorMessage } from '../../util/errors.ts';
import { createRpcClient } from '../../util/grpc.ts';
import { aborted } from '../../util/lifecycle.ts';
import type { Logger } from '../../util/log.ts';

export interface Plugin {
  readonly type: string;
  readonly name: string;
  /** Socket of the plugin's own service. */
  readonly endpoint: string;
  readonly supportedVersions: readonly string[];
}

export interface PluginWatcherDeps {
  clock: Clock;
  log: Logger;
  /** Where plugins put their registration sockets: `plugins_registry` below the root directory. */
  directory: string;
  /** Takes a plugin up; what it throws is told to the plugin. */
  onAdd(plugin: Plugin, signal: AbortSignal): Promise<void>;
  onRemove(plugin: Plugin): Promise<void>;
}

const RPC_TIMEOUT_MS = 10_000;
// A socket may be seen before its owner listens on it.
const RETRY_MS = 500;
const MAX_TRIES = 20;

/** Notices plugins by the sockets that they put into one directory, and registers them (pluginregistration v1). */
export class PluginWatcher {
  readonly #deps: PluginWatcherDeps;
  readonly #known = new Map<string, Plugin | 'failed'>();
  #look: Promise<void> = Promise.resolve();

  constructor(deps: PluginWatcherDeps) {
    this.#deps = deps;
  }

  /** Works until aborted. */
  async run(signal: AbortSignal): Promise<void> {
    const { directory } = this.#deps;
    await mkdir(directory, { recursive: true, mode: 0o750 });
    const watcher: FSWatcher = watch(directory, () => this.#lookAgain(signal));
    try {
      this.#lookAgain(signal);
      await aborted(signal);
    } finally {
      watcher.close();
      await this.#look;
    }
  }

  /** Looks are serial; what happens during one is seen by the next. */
  #lookAgain(signal: AbortSignal): void {
    this.#look = this.#look.then(async () => {
      if (signal.aborted) return;
      try {
        await this.#compare(signal);
      } catch (err) {
        if (!signal.aborted) this.#deps.log.warn({ err: errorMessage(err) }, 'Cannot see plugins');
      }
    });
  }

  async #compare(signal: AbortSignal): Promise<void> {
    const { directory, onRemove, log } = this.#deps;
    const sockets = new Set(
      (await readdir(directory, { withFileTypes: true }))
        .filter((entry) => entry.isSocket() && !entry.name.startsWith('.'))
        .map((entry) => join(directory, entry.name)),
    );
    for (const [socket, plugin] of this.#known) {
      if (sockets.has(socket)) continue;
      this.#known.delete(socket);
      if (plugin === 'failed') continue;
      log.info({ plugin: plugin.name }, 'Plugin is gone');
      await onRemove(plugin);
    }
    for (const socket of sockets) {
      if (!this.#known.has(socket)) this.#known.set(socket, await this.#register(socket, signal));
    }
  }

  async #register(socket: string, signal: AbortSignal): Promise<Plugin | 'failed'> {
    const { clock, log, onAdd } = this.#deps;
    const rpc = createRpcClient({
      proto: 'plugin-registration.proto',
      service: 'pluginregistration.Registration',
      address: `unix://${socket}`,
    });
    const options = { timeoutMs: RPC_TIMEOUT_MS };
    const notify = (pluginRegistered: boolean, error: string): Promise<unknown> =>
      rpc.call('NotifyRegistrationStatus', { pluginRegistered, error }, options, signal);
    try {
      for (let tries = 1; ; tries++) {
        try {
          const plugin = await rpc.call<Plugin>('GetInfo', {}, options, signal);
          await onAdd(plugin, signal);
          await notify(true, '');
          log.info({ plugin: plugin.name, type: plugin.type }, 'Plugin registered');
          return plugin;
        } catch (err) {
          signal.throwIfAborted();
          if (tries < MAX_TRIES) {
            await clock.sleep(RETRY_MS, signal);
            continue;
          }
          log.warn({ socket, err: errorMessage(err) }, 'Cannot register plugin');
          await notify(false, errorMessage(err)).catch(() => {});
          return 'failed';
        }
      }
    } finally {
      rpc.close();
    }
  }
}
