import { statSync } from 'node:fs';
import { join } from 'node:path';
import { run } from '../src/host/exec.ts';
import { createCluster, kubectlProgram } from '../test/support/cluster.ts';
import { podOf, shell } from '../test/support/pods.ts';
import { serveLog } from './kubelet/log-server.ts';

/**
 * How fast `kubectl logs` gives out a log of 100 MB: container's file → kubelet → API server → kubectl → a file, over two
 * TLS connections. kubectl writes each line by itself (into a pipe, its reader wakes as often), so its floor is kubectl
 * too, told the same by a server that has it in memory. `get --raw` is the same log without kubectl's lines.
 */
const MEGABYTES = 100;
const RUNS = 5;
const LINE =
  'a line of a log as programs write them, of about a hundred characters, as they often are in practice';

const cluster = await createCluster();
const out = join(cluster.paths.root, 'out');
const here = ['--kubeconfig', cluster.paths.kubeconfig('admin')];
try {
  await cluster.up();
  const script = `yes '${LINE}' | head -c ${MEGABYTES}000000; touch /written; sleep 3600`;
  const readinessProbe = { exec: { command: ['test', '-e', '/written'] }, periodSeconds: 1 };
  await cluster.apply(podOf('talker', [shell('main', script, { readinessProbe })]));
  await cluster.kubectl('wait', '--for=condition=Ready', 'pod/talker', '--timeout=110s');
  const logs = () => kubectl([...here, 'logs', 'talker']);
  // On a slow machine the first parts may have been rotated away before the last line was written.
  const { bytes } = await logs();
  const floorServer = await serveLog(LINE, bytes);
  const path = '/api/v1/namespaces/default/pods/talker/log';
  const raw = () => kubectl([...here, 'get', '--raw', path]);
  // kubectl is one of the cluster's network; the server of the floor is outside of it.
  const fromMemory = () => kubectl([...floorServer.flags, 'logs', 'talker'], { inside: false });
  const best = { logs: 0, raw: 0, floor: 0 };
  for (let i = 0; i < RUNS; i++) {
    best.logs = Math.max(best.logs, speed(await logs()));
    best.raw = Math.max(best.raw, speed(await raw()));
    best.floor = Math.max(best.floor, speed(await fromMemory()));
  }
  await floorServer.close();
  console.log(`${(bytes / 1e6).toFixed(0)} MB of log`);
  console.log(`kubectl logs  ${best.logs.toFixed(0).padStart(5)} MB/s   (at least 50)`);
  console.log(`get --raw     ${best.raw.toFixed(0).padStart(5)} MB/s`);
  console.log(
    `floor         ${best.floor.toFixed(0).padStart(5)} MB/s   (kubectl logs from memory)`,
  );
  console.log(`ratio         ${(best.logs / best.floor).toFixed(2).padStart(5)}`);
} finally {
  await cluster.remove();
}

interface Taken {
  readonly ms: number;
  readonly bytes: number;
}

function speed({ ms, bytes }: Taken): number {
  return bytes / 1000 / ms;
}

/** Runs kubectl, its output into a file. */
async function kubectl(args: readonly string[], { inside } = { inside: true }): Promise<Taken> {
  const words = [kubectlProgram(), ...args].map((word) => `'${word}'`).join(' ');
  const shellArgs = ['-c', `exec ${words} > ${out}`];
  const begin = performance.now();
  await (inside ? cluster.network.run('sh', shellArgs) : run('sh', shellArgs));
  return { ms: performance.now() - begin, bytes: statSync(out).size };
}
