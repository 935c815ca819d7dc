import { cpSync, existsSync, linkSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { imageBundles } from '../../src/cluster/images.ts';
import { type Paths, pathsUnder } from '../../src/cluster/paths.ts';
import { type RunOptions, type RunResult, run } from '../../src/host/exec.ts';
import {
  createNetworkNamespace,
  type NetworkNamespace,
  networkNamespace,
} from './network-namespace.ts';

/** Where a running cluster can be found; plain data, so that it can be handed to another process. */
export interface ClusterAddress {
  readonly root: string;
  readonly namespace: string;
}

const REPO = resolve(import.meta.dirname, '../..');
export const K8TS = join(REPO, 'bin/k8ts');
const CACHE = join(REPO, 'node_modules/.cache');
export const NODE_NAME = 'node-1';

/** A whole cluster, below a directory and in a network of its own. */
export class Cluster {
  readonly paths: Paths;
  readonly network: NetworkNamespace;

  constructor({ root, namespace }: ClusterAddress) {
    this.paths = pathsUnder(root);
    this.network = networkNamespace(namespace);
  }

  get address(): ClusterAddress {
    return { root: this.paths.root, namespace: this.network.name };
  }

  /** Runs a command of k8ts on this cluster. */
  k8ts(...args: string[]): Promise<RunResult> {
    return this.network.run(K8TS, [...args, '--root', this.paths.root]);
  }

  /** Starts it, and resolves when the node is Ready. */
  async up(...options: string[]): Promise<void> {
    await this.k8ts('up', '--detach', '--node-name', NODE_NAME, ...options);
  }

  /** kubectl as its administrator. Answers what it printed on standard output. */
  async kubectl(...args: string[]): Promise<string> {
    return (await this.tryKubectl(args)).stdout;
  }

  /** kubectl with any exit code, and perhaps with standard input. */
  tryKubectl(args: readonly string[], options: RunOptions = {}): Promise<RunResult> {
    const env = { HOME: this.paths.root, KUBECONFIG: this.paths.kubeconfig('admin') };
    return this.network.run(kubectlProgram(), args, { timeoutMs: 150_000, ...options, env });
  }

  /** kubectl with a manifest on standard input. */
  async apply(manifest: string | object, ...args: string[]): Promise<string> {
    const input = typeof manifest === 'string' ? manifest : JSON.stringify(manifest);
    return (await this.tryKubectl(['apply', '-f', '-', ...args], { input })).stdout;
  }

  /** An object, or a list of them, as `kubectl get -o json` answers it. */
  // biome-ignore lint/suspicious/noExplicitAny: tests look into objects of every kind
  async get(...args: string[]): Promise<any> {
    return JSON.parse(await this.kubectl('get', ...args, '-o', 'json'));
  }

  /** The body that a URL answers, asked from the node. */
  async fetch(url: string, seconds = 5): Promise<string> {
    const args = ['--silent', '--show-error', '--fail', '--max-time', String(seconds), url];
    return (await this.network.run('curl', args)).stdout.trim();
  }

  /** Stops the cluster and removes every trace of it. */
  async remove({ started }: { started: boolean } = { started: true }): Promise<void> {
    keepLogs(this.paths);
    try {
      if (started) await this.k8ts('down', '--purge');
    } finally {
      await this.network.remove();
      rmSync(this.paths.root, { recursive: true, force: true });
    }
  }
}

/** A directory (within `parent`) and a network for a cluster that is not started yet. */
export async function createCluster(parent: string = tmpdir()): Promise<Cluster> {
  const namespace = await createNetworkNamespace();
  const root = mkdtempSync(join(parent, 'k8ts-'));
  const cluster = new Cluster({ root, namespace: namespace.name });
  await provideImages(imageBundles(cluster.paths));
  return cluster;
}

/** A cluster whose node is Ready. Whatever goes wrong, nothing is left behind. */
export async function startCluster(): Promise<Cluster> {
  const cluster = await createCluster();
  try {
    await cluster.up();
    return cluster;
  } catch (err) {
    await cluster.remove();
    throw err;
  }
}

/** The kubectl that deploy/ has fetched. */
export function kubectlProgram(): string {
  const program = join(CACHE, 'tools', 'kubectl');
  if (!existsSync(program)) throw new Error(`${program} is missing; run deploy/test.sh once`);
  return program;
}

/** Puts the images of deploy/images where the cluster imports them from. */
export async function provideImages(folder: string): Promise<void> {
  const built = join(CACHE, 'images');
  mkdirSync(built, { recursive: true });
  // One after the other: tests that run at the same time would write the same files.
  const build = [process.execPath, join(REPO, 'deploy/images/build.ts'), built];
  await run('flock', [join(built, '.lock'), ...build]);
  mkdirSync(folder, { recursive: true });
  for (const name of readdirSync(built).filter((file) => !file.startsWith('.'))) {
    try {
      linkSync(join(built, name), join(folder, name));
    } catch {
      cpSync(join(built, name), join(folder, name)); // Another file system.
    }
  }
}

/** Logs of a cluster vanish with it, unless K8TS_TEST_LOGS names a directory. */
function keepLogs(paths: Paths): void {
  const target = process.env.K8TS_TEST_LOGS;
  if (!target || !existsSync(paths.logs)) return;
  cpSync(paths.logs, join(target, `logs-${process.pid}-${Date.now()}`), { recursive: true });
}
