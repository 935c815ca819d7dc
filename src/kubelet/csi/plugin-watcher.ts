import { type FSWatcher, watch } from 'node:fs';
import { lstat, mkdir, readdir } from 'node:fs/promises';
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

interface Watched {
  /** Which file it is: a plugin that was started again makes its socket anew. */
  readonly identity: string;
  readonly stop: AbortController;
  /** Ends when the socket is gone. */
  readonly over: Promise<void>;
}

const RPC_TIMEOUT_MS = 10_000;
// A socket may be seen before its owner listens on it; one that nobody listens on is asked ever less often.
const FIRST_RETRY_MS = 500;
const MAX_RETRY_MS = 60_000;

/** Notices plugins by the sockets that they put into one directory, and registers them (pluginregistration v1). */
export class PluginWatcher {
  readonly #deps: PluginWatcherDeps;
  readonly #known = new Map<string, Watched>();
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
      await Promise.all([...this.#known.values()].map(({ over }) => over));
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
    const sockets = await socketsIn(this.#deps.directory);
    const ended = new Map<string, Promise<void>>();
    for (const [socket, { identity, stop, over }] of this.#known) {
      if (sockets.get(socket) === identity) continue;
      this.#known.delete(socket);
      stop.abort();
      ended.set(socket, over);
    }
    for (const [socket, identity] of sockets) {
      if (this.#known.has(socket)) continue;
      const stop = new AbortController();
      // The earlier one is given up first, or the new one would be given up in its place.
      const before = ended.get(socket) ?? Promise.resolve();
      const over = before.then(() => this.#follow(socket, signal, stop.signal));
      this.#known.set(socket, { identity, stop, over });
    }
  }

  /** One plugin from its registration to the end of its socket. Each for itself: one that hangs keeps no other one. */
  async #follow(socket: string, ends: AbortSignal, gone: AbortSignal): Promise<void> {
    const { log, onRemove } = this.#deps;
    const either = AbortSignal.any([ends, gone]);
    const plugin = await this.#register(socket, either);
    await aborted(either);
    if (!plugin || !gone.aborted) return;
    log.info({ plugin: plugin.name }, 'Plugin is gone');
    await onRemove(plugin).catch((err: unknown) =>
      log.warn({ plugin: plugin.name, err: errorMessage(err) }, 'Cannot give plugin up'),
    );
  }

  /** Undefined when the signal came first. */
  async #register(socket: string, signal: AbortSignal): Promise<Plugin | undefined> {
    const { clock, log } = this.#deps;
    const rpc = createRpcClient({
      proto: 'plugin-registration.proto',
      service: 'pluginregistration.Registration',
      address: `unix://${socket}`,
    });
    try {
      for (let wait = FIRST_RETRY_MS; ; wait = Math.min(2 * wait, MAX_RETRY_MS)) {
        try {
          return await this.#tryRegister(rpc, signal);
        } catch (err) {
          if (signal.aborted) return undefined;
          log.warn({ socket, err: errorMessage(err) }, 'Cannot register plugin');
          await clock.sleep(wait, signal).catch(() => {});
        }
        if (signal.aborted) return undefined;
      }
    } finally {
      rpc.close();
    }
  }

  async #tryRegister(
    rpc: ReturnType<typeof createRpcClient>,
    signal: AbortSignal,
  ): Promise<Plugin> {
    const options = { timeoutMs: RPC_TIMEOUT_MS };
    const notify = (pluginRegistered: boolean, error: string): Promise<unknown> =>
      rpc.call('NotifyRegistrationStatus', { pluginRegistered, error }, options, signal);
    const plugin = await rpc.call<Plugin>('GetInfo', {}, options, signal);
    try {
      await this.#deps.onAdd(plugin, signal);
    } catch (err) {
      await notify(false, errorMessage(err)).catch(() => {});
      throw err;
    }
    await notify(true, '');
    this.#deps.log.info({ plugin: plugin.name, type: plugin.type }, 'Plugin registered');
    return plugin;
  }
}

/** The sockets of a directory, each with what tells it from a later one of the same name. */
async function socketsIn(directory: string): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  for (const entry of await readdir(directory, { withFileTypes: true })) {
    if (!entry.isSocket() || entry.name.startsWith('.')) continue;
    const path = join(directory, entry.name);
    const facts = await lstat(path).catch(() => undefined);
    if (facts) found.set(path, `${facts.ino}/${facts.birthtimeMs}`);
  }
  return found;
}
