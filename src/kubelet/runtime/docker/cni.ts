import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { run } from '../../../host/exec.ts';
import { errnoOf } from '../../../util/errors.ts';
import type { PodSandboxConfig } from '../runtime.ts';

export interface CniOptions {
  /** Where network configurations lie; the first by name counts. */
  readonly configDir: string;
  /** Where the plugins are. */
  readonly binDir: string;
  /** Where what was set up is remembered, so that it can be taken down after a restart. */
  readonly stateDir: string;
}

interface Plugin {
  readonly type: string;
  readonly capabilities?: Readonly<Record<string, boolean>>;
}

interface NetworkList {
  readonly cniVersion: string;
  readonly name: string;
  readonly plugins: readonly Plugin[];
}

interface CniResult {
  readonly ips?: readonly { address: string }[];
}

/** What was set up for one sandbox. */
interface Attached {
  readonly list: NetworkList;
  readonly args: string;
  readonly capabilities: Readonly<Record<string, unknown>>;
  readonly result: CniResult;
}

const TIMEOUT_MS = 60_000;

/** Gives sandboxes their network by CNI plugins, as other runtimes do. https://www.cni.dev/docs/spec/ */
export class Cni {
  readonly #options: CniOptions;

  constructor(options: CniOptions) {
    this.#options = options;
  }

  /** Why pods can have no network now; undefined when they can. */
  async problem(): Promise<string | undefined> {
    try {
      return (await this.#network()) ? undefined : 'cni config uninitialized';
    } catch (err) {
      return String(err);
    }
  }

  /** Answers the addresses. Whatever goes wrong, nothing is left behind. */
  async add(
    id: string,
    netns: string,
    config: PodSandboxConfig,
    signal?: AbortSignal,
  ): Promise<string[]> {
    const list = await this.#network();
    if (!list) throw new Error('no network configuration: cni config uninitialized');
    const { name, namespace, uid } = config.metadata;
    const args = `IgnoreUnknown=1;K8S_POD_NAMESPACE=${namespace};K8S_POD_NAME=${name};K8S_POD_INFRA_CONTAINER_ID=${id};K8S_POD_UID=${uid}`;
    const capabilities = capabilitiesOf(config);
    const base = { list, args, capabilities };
    let result: CniResult = {};
    try {
      for (const plugin of list.plugins) {
        const done = await this.#call('ADD', { id, netns, plugin, ...base, result }, signal);
        result = JSON.parse(done) as CniResult;
      }
      await mkdir(this.#options.stateDir, { recursive: true, mode: 0o700 });
      const attached: Attached = { ...base, result };
      await writeFile(`${this.#file(id)}.tmp`, JSON.stringify(attached));
      await rename(`${this.#file(id)}.tmp`, this.#file(id));
    } catch (err) {
      await this.#takeDown(id, netns, { ...base, result }).catch(() => {});
      throw err;
    }
    return addressesOf(result);
  }

  /** Safe to repeat. `netns` is empty when the namespace is gone. */
  async remove(id: string, netns: string, signal?: AbortSignal): Promise<void> {
    const attached = await this.#attached(id);
    if (!attached) return;
    await this.#takeDown(id, netns, attached, signal);
    await rm(this.#file(id), { force: true });
  }

  async addresses(id: string): Promise<string[]> {
    return addressesOf((await this.#attached(id))?.result ?? {});
  }

  async #takeDown(
    id: string,
    netns: string,
    attached: Attached,
    signal?: AbortSignal,
  ): Promise<void> {
    for (const plugin of [...attached.list.plugins].reverse()) {
      await this.#call('DEL', { id, netns, plugin, ...attached }, signal);
    }
  }

  async #call(
    command: 'ADD' | 'DEL',
    {
      id,
      netns,
      plugin,
      list,
      args,
      capabilities,
      result,
    }: Attached & { id: string; netns: string; plugin: Plugin },
    signal?: AbortSignal,
  ): Promise<string> {
    const { cniVersion, name } = list;
    const wanted = Object.entries(capabilities).filter(([key]) => plugin.capabilities?.[key]);
    const input = {
      ...plugin,
      ...{ cniVersion, name },
      ...(wanted.length > 0 ? { runtimeConfig: Object.fromEntries(wanted) } : {}),
      ...(Object.keys(result).length > 0 ? { prevResult: result } : {}),
    };
    const env = {
      CNI_COMMAND: command,
      CNI_CONTAINERID: id,
      CNI_NETNS: netns,
      CNI_IFNAME: 'eth0',
      CNI_ARGS: args,
      CNI_PATH: this.#options.binDir,
    };
    const program = join(this.#options.binDir, plugin.type);
    const options = { input: JSON.stringify(input), env, timeoutMs: TIMEOUT_MS };
    const { stdout, exitCode, stderr } = await run(
      program,
      [],
      { ...options, acceptExitCodes: [0, 1, 2, 3] },
      signal,
    );
    if (exitCode === 0) return stdout;
    throw new Error(
      `plugin type="${plugin.type}" failed (${command.toLowerCase()}): ${saidBy(stdout) || stderr}`,
    );
  }

  /** The first network by file name; a lone plugin counts as a list of one. */
  async #network(): Promise<NetworkList | undefined> {
    const names = await readdir(this.#options.configDir).catch(() => []);
    for (const file of names.filter((n) => /\.(conflist|conf|json)$/.test(n)).sort()) {
      const text = await readFile(join(this.#options.configDir, file), 'utf8');
      const found = JSON.parse(text) as NetworkList & Plugin;
      if (found.plugins) return found;
      if (found.type) return { cniVersion: found.cniVersion, name: found.name, plugins: [found] };
    }
    return undefined;
  }

  async #attached(id: string): Promise<Attached | undefined> {
    try {
      return JSON.parse(await readFile(this.#file(id), 'utf8')) as Attached;
    } catch (err) {
      if (errnoOf(err) === 'ENOENT') return undefined;
      throw err;
    }
  }

  #file(id: string): string {
    return join(this.#options.stateDir, `${id}.json`);
  }
}

function capabilitiesOf({ portMappings, dnsConfig }: PodSandboxConfig): Record<string, unknown> {
  const ports = portMappings.filter((p) => p.hostPort > 0);
  return {
    ...(ports.length > 0
      ? {
          portMappings: ports.map((p) => ({
            hostPort: p.hostPort,
            containerPort: p.containerPort,
            protocol: p.protocol.toLowerCase(),
            hostIP: p.hostIp,
          })),
        }
      : {}),
    ...(dnsConfig ? { dns: dnsConfig } : {}),
  };
}

function addressesOf({ ips = [] }: CniResult): string[] {
  return ips.map(({ address }) => address.split('/')[0] ?? '').filter((ip) => ip !== '');
}

/** A plugin that fails prints why as JSON. */
function saidBy(stdout: string): string {
  try {
    return (JSON.parse(stdout) as { msg?: string }).msg ?? '';
  } catch {
    return stdout.trim();
  }
}
