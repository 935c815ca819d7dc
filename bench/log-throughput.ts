import { statSync } from 'node:fs';
import { join } from 'node:path';
import { run } from '../src/host/exec.ts';
import { createCluster, kubectlProgram } from '../test/support/cluster.ts';
import { podOf, shell } from '../test/support/pods.ts';
import { serveLog } from './kubelet/log-server.ts';

/**
 * How fast `kubectl logs` gives out a log of 100 MB: container's file → kubelet → API server → kubectl, over two TLS
 * connections. Its floor is kubectl too, told the same by a server that has it in memory; `get --raw` is the same log without
 * kubectl's lines. kubectl writes each line by itself, and a million writes take their time by where they go: what it says is
 * counted once and then goes to /dev/null. Into a file is shown as well, floor and all: there the file sets the pace.
 */
const MEGABYTES = 100;
const RUNS = 5;
const LINE =
  'a line of a log as programs write them, of about a hundred characters, as they often are in practice';

const cluster = await createCluster();
const file = join(cluster.paths.root, 'out');
const here = ['--kubeconfig', cluster.paths.kubeconfig('admin')];
try {
  await cluster.up();
  const script = `yes '${LINE}' | head -c ${MEGABYTES}000000; touch /written; sleep 3600`;
  const readinessProbe = { exec: { command: ['test', '-e', '/written'] }, periodSeconds: 1 };
  await cluster.apply(podOf('talker', [shell('main', script, { readinessProbe })]));
  await cluster.kubectl('wait', '--for=condition=Ready', 'pod/talker', '--timeout=110s');
  const logs: Side = { args: [...here, 'logs', 'talker'], isInside: true };
  // On a slow machine the first parts may have been rotated away before the last line was written.
  const bytes = await countBytes(logs);
  const floorServer = await serveLog(LINE, bytes);
  const floor: Side = { args: [...floorServer.flags, 'logs', 'talker'], isInside: false };
  const path = '/api/v1/namespaces/default/pods/talker/log';
  const raw: Side = { args: [...here, 'get', '--raw', path], isInside: true };
  const rows: Row[] = [
    { name: 'kubectl logs', side: logs, to: '/dev/null', best: 0, note: '(at least 50)' },
    { name: 'floor', side: floor, to: '/dev/null', best: 0, note: '(kubectl logs from memory)' },
    { name: 'get --raw', side: raw, to: '/dev/null', best: 0, note: '' },
    { name: 'kubectl logs', side: logs, to: file, best: 0, note: 'into a file' },
    { name: 'floor', side: floor, to: file, best: 0, note: 'into a file' },
  ];
  for (let i = 0; i < RUNS; i++) {
    for (const row of rows) {
      row.best = Math.max(row.best, bytes / 1000 / (await timed(row.side, row.to)));
    }
  }
  await floorServer.close();
  console.log(`${(bytes / 1e6).toFixed(0)} MB of log`);
  for (const { name, best, note } of rows) {
    console.log(`${name.padEnd(12)} ${best.toFixed(0).padStart(5)} MB/s   ${note}`.trimEnd());
  }
  const [ours, theirs] = rows.map(({ best }) => best);
  console.log(
    `ratio        ${((ours ?? 0) / (theirs ?? 0)).toFixed(2).padStart(5)}        of the first two`,
  );
} finally {
  await cluster.remove();
}

interface Side {
  readonly args: readonly string[];
  readonly isInside: boolean;
}

interface Row {
  readonly name: string;
  readonly side: Side;
  readonly to: string;
  readonly note: string;
  best: number;
}

async function countBytes(side: Side): Promise<number> {
  await timed(side, file);
  return statSync(file).size;
}

/** Milliseconds that kubectl takes. It is of the cluster's network; the server of the floor is outside of it. */
async function timed({ args, isInside }: Side, to: string): Promise<number> {
  const words = [kubectlProgram(), ...args].map((word) => `'${word}'`).join(' ');
  const shellArgs = ['-c', `exec ${words} > ${to}`];
  const begin = performance.now();
  await (isInside ? cluster.network.run('sh', shellArgs) : run('sh', shellArgs));
  return performance.now() - begin;
}
