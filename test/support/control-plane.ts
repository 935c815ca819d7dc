import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, openSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
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
import { ensureKubeconfigs } from '../../src/cluster/kubeconfig.ts';

import { pathsUnder } from '../../src/cluster/paths.ts';
import { settingsFor } from '../../src/cluster/prepare.ts';

/** A real API server and a real scheduler in processes of their own; no controllers, no kubelet. */
export interface ControlPlane {
  readonly root: string;
  readonly client: RestClient;
  readonly schedulerPort: number;
  readonly scheduler: ChildProcess;
  stop(): Promise<void>;
}

const K8TS = resolve(import.meta.dirname, '../../bin/k8ts');

export async function startControlPlane(): Promise<ControlPlane> {
  const root = mkdtempSync(join(tmpdir(), 'k8ts-sched-'));
  const paths = pathsUnder(root);
  const port = await freePort();
  const schedulerPort = await freePort();
  const settings = settingsFor({ nodeName: 'bench', nodeIp: '127.0.0.1', port });
  for (const directory of [
    paths.pki,
    paths.store,
    paths.logs,
    dirname(paths.kubeconfig('admin')),
  ]) {
    mkdirSync(directory, { recursive: true });
  }
  await ensureAuthorities(paths.pki, Date.now());
  await ensureCertificates(certificateSpecs(paths, settings), paths.pki, Date.now());
  const server = localServer(settings);
  await ensureKubeconfigs(['admin', 'scheduler'], {
    ...{ paths, server, nodeName: settings.nodeName, now: Date.now() },
  });
  const specs = processSpecs(paths, settings, { program: K8TS, args: [] });
  const start = (name: string): ChildProcess => {
    const spec = specs.find((one) => one.name === name);
    if (!spec) throw new Error(`No process ${name}`);
    const args = spec.args.map((arg) => arg.replace('10259', String(schedulerPort)));
    const log = openSync(spec.logFile, 'a');
    return spawn(spec.program, args, { stdio: ['ignore', log, log] });
  };
  const apiserver = start('apiserver');
  const client = new RestClient(await loadKubeconfig(paths.kubeconfig('admin')));
  await untilReady(client);
  const scheduler = start('scheduler');
  const stop = async (): Promise<void> => {
    client.close();
    for (const child of [scheduler, apiserver]) {
      const ended = new Promise((done) => child.once('exit', done));
      child.kill('SIGTERM');
      await ended;
    }
    rmSync(root, { recursive: true, force: true });
  };
  return { root, client, schedulerPort, scheduler, stop };
}

async function untilReady(client: RestClient): Promise<void> {
  for (let tries = 0; tries < 200; tries++) {
    try {
      await client.raw('GET', '/api/v1/namespaces');
      return;
    } catch {
      await new Promise((done) => setTimeout(done, 50));
    }
  }
  throw new Error('The API server did not become ready');
}

function freePort(): Promise<number> {
  return new Promise((done) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number };
      server.close(() => done(port));
    });
  });
}
