import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathsUnder } from '../../src/cluster/paths.ts';
import { run, type StartedProcess, start } from '../../src/host/exec.ts';
import type { EngineUnderTest } from '../../src/kubelet/runtime/runtime.contract.ts';
import { K8TS, kubectlProgram } from './cluster.ts';
import { type ControlPlane, startControlPlane } from './control-plane.ts';
import type { EngineFlags } from './engines.ts';
import { freePort } from './free-port.ts';

type Engine = EngineUnderTest & EngineFlags;

export interface LoneNodeOptions {
  readonly name: string;
  startEngine(): Promise<Engine>;
  /** Fields of KubeletConfiguration, asked for when everything but the kubelet runs. */
  config?(): Promise<object>;
  /** The kubelet's directory is a file system of its own in memory: `size=64m,nr_inodes=1000`. */
  readonly stateMount?: string;
}

/** A kubelet with an engine and a control plane of its own: what is done to the node is done to nobody else. */
export class LoneNode {
  readonly root = mkdtempSync(join(tmpdir(), 'k8ts-lone-'));
  readonly plane: ControlPlane;
  readonly engine: Engine;
  readonly #options: LoneNodeOptions;
  #kubelet: StartedProcess | undefined;

  constructor(options: LoneNodeOptions, parts: { plane: ControlPlane; engine: Engine }) {
    this.#options = options;
    this.plane = parts.plane;
    this.engine = parts.engine;
  }

  /** The kubelet's --root-dir. */
  get state(): string {
    return join(this.root, 'state');
  }

  async prepare(): Promise<void> {
    mkdirSync(join(this.root, 'logs'));
    mkdirSync(this.state);
    const { stateMount } = this.#options;
    if (stateMount) await run('mount', ['-t', 'tmpfs', '-o', stateMount, 'tmpfs', this.state]);
    writeFileSync(join(this.root, 'kubelet.json'), JSON.stringify(await this.#configuration()));
  }

  async #configuration(): Promise<object> {
    const { pki, kubelet } = pathsUnder(this.plane.root);
    return {
      apiVersion: 'kubelet.config.k8s.io/v1beta1',
      kind: 'KubeletConfiguration',
      authentication: { x509: { clientCAFile: join(pki, 'ca.crt') } },
      cgroupRoot: this.engine.cgroupParent,
      clusterDNS: ['10.96.0.10'],
      clusterDomain: 'cluster.local',
      failSwapOn: false,
      healthzPort: await freePort(),
      podLogsDir: join(this.root, 'logs', 'pods'),
      port: await freePort(),
      tlsCertFile: join(kubelet, 'pki', 'kubelet.crt'),
      tlsPrivateKeyFile: join(kubelet, 'pki', 'kubelet.key'),
      ...(await this.#options.config?.()),
    };
  }

  startKubelet(): void {
    const flags = [
      `--kubeconfig=${this.plane.kubeconfig}`,
      `--config=${join(this.root, 'kubelet.json')}`,
      `--hostname-override=${this.#options.name}`,
      '--node-ip=127.0.0.1',
      `--root-dir=${this.state}`,
    ];
    const logFile = join(this.root, 'kubelet.log');
    this.#kubelet = start(K8TS, ['kubelet', ...flags, ...this.engine.flags], { logFile });
  }

  async endKubelet(signal: NodeJS.Signals): Promise<void> {
    this.#kubelet?.kill(signal);
    await this.#kubelet?.ended;
  }

  async untilReady(): Promise<void> {
    const node = `node/${this.#options.name}`;
    await this.kubectl('wait', '--for=create', node, '--timeout=120s');
    await this.kubectl('wait', '--for=condition=Ready', node, '--timeout=120s');
  }

  async kubectl(...args: string[]): Promise<string> {
    const env = { KUBECONFIG: this.plane.kubeconfig, HOME: this.root };
    return (await run(kubectlProgram(), args, { env, timeoutMs: 80_000 })).stdout;
  }

  async apply(...items: object[]): Promise<void> {
    const env = { KUBECONFIG: this.plane.kubeconfig, HOME: this.root };
    const input = JSON.stringify({ apiVersion: 'v1', kind: 'List', items });
    await run(kubectlProgram(), ['apply', '-f', '-'], { env, input, timeoutMs: 60_000 });
  }

  // biome-ignore lint/suspicious/noExplicitAny: tests look into objects of every kind
  async get(...args: string[]): Promise<any> {
    return JSON.parse(await this.kubectl('get', ...args, '-o', 'json'));
  }

  async ready(...names: string[]): Promise<void> {
    const pods = names.map((name) => `pod/${name}`);
    try {
      await this.kubectl('wait', '--for=condition=Ready', ...pods, '--timeout=120s');
    } catch (err) {
      throw new Error(await this.kubectl('describe', ...pods), { cause: err });
    }
  }

  async stop(): Promise<void> {
    // What still runs would keep the engine from ending.
    await this.kubectl('delete', 'pods', '--all', '--now', '--timeout=120s').catch(() => {});
    await this.endKubelet('SIGTERM');
    await this.engine.stop();
    await this.plane.stop();
    const mounts = [join(this.state, 'memory-volumes')];
    if (this.#options.stateMount) mounts.push(this.state);
    for (const path of mounts) {
      await run('umount', ['--lazy', path], { acceptExitCodes: [0, 1, 32] });
    }
    rmSync(this.root, { recursive: true, force: true });
  }
}

/** Resolves when the node is Ready. Whatever goes wrong, nothing is left behind. */
export async function startLoneNode(options: LoneNodeOptions): Promise<LoneNode> {
  const [plane, engine] = await Promise.allSettled([
    startControlPlane({ controllers: true }),
    options.startEngine(),
  ]);
  if (plane.status === 'rejected' || engine.status === 'rejected') {
    if (plane.status === 'fulfilled') await plane.value.stop();
    if (engine.status === 'fulfilled') await engine.value.stop();
    throw [plane, engine].find((part) => part.status === 'rejected')?.reason;
  }
  const node = new LoneNode(options, { plane: plane.value, engine: engine.value });
  try {
    await node.prepare();
    node.startKubelet();
    await node.untilReady();
    return node;
  } catch (err) {
    await node.stop();
    throw err;
  }
}
