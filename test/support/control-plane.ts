import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, openSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { loadKubeconfig } from '../../src/client/kubeconfig.ts';
import { RestClient } from '../../src/client/rest-client.ts';
import {
  certificateSpecs,
  ensureAuthorities,
  ensureCertificates,
} from '../../src/cluster/certificates.ts';
import { localServer, processSpecs } from '../../src/cluster/components.ts';
import { ensureEncryption } from '../../src/cluster/encryption.ts';
import { ensureKubeconfigs } from '../../src/cluster/kubeconfig.ts';
import { pathsUnder } from '../../src/cluster/paths.ts';
import { settingsFor } from '../../src/cluster/prepare.ts';
import { freePort } from './free-port.ts';

/** A real API server and a real scheduler, and perhaps controllers, in processes of their own; no kubelet. */
export interface ControlPlane {
  readonly root: string;
  readonly client: RestClient;
  readonly schedulerPort: number;
  readonly scheduler: ChildProcess;
  /** Only where it was asked for. */
  readonly controllerManager: ChildProcess | undefined;
  readonly controllerManagerPort: number;
  /** kubectl's way in. */
  readonly kubeconfig: string;
  /** Ends a component, if it runs, and starts it. */
  restart(name: ComponentName): Promise<void>;
  end(name: ComponentName): Promise<void>;
  /** Of a component that runs. */
  pid(name: ComponentName): number | undefined;
  /** Another controller manager beside the first, with the same flags; it serves no port. */
  secondManager(): ChildProcess;
  stop(): Promise<void>;
}

type ComponentName = 'apiserver' | 'scheduler' | 'controller-manager';

export interface ControlPlaneOptions {
  readonly controllers?: boolean;
  /** More flags of the controller manager. */
  readonly controllerFlags?: readonly string[];
}

const K8TS = resolve(import.meta.dirname, '../../bin/k8ts');

export async function startControlPlane(options: ControlPlaneOptions = {}): Promise<ControlPlane> {
  const root = mkdtempSync(join(tmpdir(), 'k8ts-sched-'));
  const paths = pathsUnder(root);
  const port = await freePort();
  const [schedulerPort, controllerManagerPort] = [await freePort(), await freePort()];
  const settings = settingsFor({ nodeName: 'bench', nodeIp: '127.0.0.1', port });
  for (const directory of [
    paths.pki,
    paths.store,
    paths.logs,
    dirname(paths.kubeconfig('super-admin')),
  ]) {
    mkdirSync(directory, { recursive: true });
  }
  await ensureAuthorities(paths.pki, Date.now());
  ensureEncryption(paths);
  await ensureCertificates(certificateSpecs(paths, settings), paths.pki, Date.now());
  const server = localServer(settings);
  await ensureKubeconfigs(['super-admin', 'scheduler', 'controller-manager'], {
    ...{ paths, server, nodeName: settings.nodeName, now: Date.now() },
  });
  const specs = processSpecs(paths, settings, { program: K8TS, args: [] });
  const ports: Record<string, string> = {
    '10257': String(controllerManagerPort),
    '10259': String(schedulerPort),
  };
  const running = new Map<ComponentName, ChildProcess>();
  const others: ChildProcess[] = [];
  const start = (name: ComponentName, more: readonly string[] = []): ChildProcess => {
    const spec = specs.find((one) => one.name === name);
    if (!spec) throw new Error(`No process ${name}`);
    const args = spec.args.map((arg) => arg.replace(/1025[79]/, (usual) => ports[usual] ?? usual));
    if (name === 'controller-manager') args.push(...(options.controllerFlags ?? []), ...more);
    // No kubelet is there to make nodes ready.
    if (name === 'apiserver') args.push('--disable-admission-plugins=TaintNodesByCondition');
    const log = openSync(spec.logFile, 'a');
    const env = { ...process.env, ...spec.env };
    const child = spawn(spec.program, args, { env, stdio: ['ignore', log, log] });
    if (more.length === 0) running.set(name, child);
    else others.push(child);
    return child;
  };
  const end = async (name: ComponentName): Promise<void> => {
    const child = running.get(name);
    if (!child) return;
    running.delete(name);
    await ended(child);
  };
  start('apiserver');
  const client = new RestClient(await loadKubeconfig(paths.kubeconfig('super-admin')));
  await untilAnswered(client, '/api/v1/namespaces');
  const scheduler = start('scheduler');
  const controllerManager = options.controllers ? start('controller-manager') : undefined;
  // Without its account no Pod can be made in the namespace.
  const account = '/api/v1/namespaces/default/serviceaccounts/default';
  if (controllerManager) await untilAnswered(client, account);
  const stop = async (): Promise<void> => {
    client.close();
    await Promise.all(others.map(ended));
    for (const name of ['controller-manager', 'scheduler', 'apiserver'] as const) await end(name);
    rmSync(root, { recursive: true, force: true });
  };
  const restart = async (name: ComponentName): Promise<void> => {
    await end(name);
    start(name);
  };
  return {
    ...{ root, client, schedulerPort, scheduler, controllerManager, controllerManagerPort },
    kubeconfig: paths.kubeconfig('super-admin'),
    pid: (name) => running.get(name)?.pid,
    secondManager: () => start('controller-manager', ['--secure-port=0']),
    ...{ restart, end, stop },
  };
}

/** Ends a process, if it runs, and waits for its end. */
async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const end = new Promise((done) => child.once('exit', done));
  child.kill('SIGTERM');
  await end;
}

async function untilAnswered(client: RestClient, path: string): Promise<void> {
  for (let tries = 0; tries < 2000; tries++) {
    try {
      await client.raw('GET', path);
      return;
    } catch {
      await new Promise((done) => setTimeout(done, 50));
    }
  }
  throw new Error(`The control plane did not become ready: no ${path}`);
}
