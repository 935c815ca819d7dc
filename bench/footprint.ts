import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { commandLineOf, listProcesses } from '../src/host/processes.ts';
import { createCluster, NODE_NAME } from '../test/support/cluster.ts';
import { list, service, webDeployment } from '../test/support/manifests.ts';

/**
 * What a cluster with a demo costs at rest: memory (PSS: pages that several processes share are counted once) and processor
 * time of every process of k8ts over a minute. Its floor is as many Node.js processes that do nothing.
 */
const REST_S = 60;
// Right after its start a cluster still reconciles, and V8 still has garbage.
const SETTLE_S = 45;
const TICKS_PER_S = 100;

interface Reading {
  readonly name: string;
  readonly pid: number;
  readonly pssMb: number;
  readonly ticks: number;
}

const cluster = await createCluster();
try {
  await cluster.k8ts('up', '--detach', '--node-name', NODE_NAME);
  await cluster.apply(list(webDeployment('web', 3), service('web')));
  await cluster.kubectl('rollout', 'status', 'deployment/web', '--timeout=60s');
  await sleep(SETTLE_S * 1000);
  const before = new Map(readings().map((reading) => [reading.pid, reading]));
  await sleep(REST_S * 1000);
  const after = readings();
  const rows = after.map(({ name, pid, pssMb, ticks }) => ({
    name,
    pssMb,
    percent: ((ticks - (before.get(pid)?.ticks ?? 0)) / TICKS_PER_S / REST_S) * 100,
  }));
  for (const row of rows) print(row.name, row.pssMb, row.percent);
  const own = rows.filter(({ name }) => name.startsWith('k8ts'));
  print('k8ts in all', total(own, 'pssMb'), total(own, 'percent'));
  print('(at most)', 350, 3);
  const floor = await idleNodePss(own.length);
  print(`${own.length} idle Node.js`, floor, 0);
  console.log(`ratio of memory ${(total(own, 'pssMb') / floor).toFixed(2)}`);
} finally {
  await cluster.remove();
}

function print(name: string, pssMb: number, percent: number): void {
  console.log(
    `${name.padEnd(26)}${pssMb.toFixed(1).padStart(8)} MB PSS${percent.toFixed(2).padStart(8)} % of a core`,
  );
}

function total(rows: readonly { pssMb: number; percent: number }[], key: 'pssMb' | 'percent') {
  return rows.reduce((sum, row) => sum + row[key], 0);
}

/** The processes that belong to the cluster: k8ts' own by their titles, and its containerd. */
function readings(): Reading[] {
  const { root } = cluster.paths;
  return listProcesses().flatMap((pid) => {
    const line = commandLineOf(pid).join(' ');
    const name = /^(k8ts \S+)/.exec(line)?.[1] ?? /^(containerd) /.exec(line)?.[1];
    return name !== undefined && line.includes(root) ? [{ name, pid, ...costOf(pid) }] : [];
  });
}

function costOf(pid: number): { pssMb: number; ticks: number } {
  const pss = /^Pss:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8'))?.[1];
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  // Fields 14 and 15 of proc(5), counted after the name in parentheses.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return { pssMb: Number(pss) / 1024, ticks: Number(fields[11]) + Number(fields[12]) };
}

/** What the same number of Node.js processes share out among them when they only wait. */
async function idleNodePss(count: number): Promise<number> {
  const idle = Array.from({ length: count }, () =>
    spawn(process.execPath, ['-e', 'process.stdin.resume(); console.log()'], {
      stdio: ['pipe', 'pipe', 'inherit'],
    }),
  );
  try {
    await Promise.all(
      idle.map(({ stdout }) => new Promise((resolve) => stdout.once('data', resolve))),
    );
    return idle.reduce((sum, { pid = 0 }) => sum + costOf(pid).pssMb, 0);
  } finally {
    for (const child of idle) child.kill();
  }
}
