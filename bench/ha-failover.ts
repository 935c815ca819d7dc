import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { run } from '../src/host/exec.ts';
import { kubectlProgram } from '../test/support/cluster.ts';
import {
  awaitApi,
  type ControlPlanes,
  startControlPlanes,
} from '../test/support/control-planes.ts';
import { eventually } from '../test/support/eventually.ts';
import { percentile } from './support/percentile.ts';
import { printer } from './support/table.ts';

// Three control planes behind HAProxy under 50 writes/s: what happens when one of each kind is killed (SIGKILL) and comes
// back. `npm run bench -- ha-failover [ROUNDS]`: rounds of API server and etcd leader, each; a tenth of them of the others.

const ROUNDS = Number(process.argv[2] ?? 5);
const RATE = 50;
const BEFORE_MS = 1500;
const AFTER_MS = 5000;

interface Round {
  /** Seconds, the longest, between two acknowledged writes. */
  gap: number;
  failed: number;
  lost: number;
  writes: number;
  retried: number;
}

const planes = await startControlPlanes(['etcd', 'apiserver', 'scheduler', 'controller-manager']);
const print = printer([
  'killed',
  'rounds',
  'gap p50 s',
  'gap max s',
  'writes',
  'retried',
  'failed',
  'lost',
  'aim',
]);
try {
  await awaitApi(planes);
  await eventually(
    'the cluster serves through HAProxy',
    () => kubectl('get', 'sa', 'default'),
    60_000,
  );
  report('apiserver', await rounds('apiserver', async () => 1), 'gap 3 s, failed 0, lost 0');
  report('etcd leader', await rounds('etcd', planes.etcdLeader), 'gap 3 s, lost 0');
  for (const name of ['scheduler', 'controller-manager'] as const) {
    const seconds: number[] = [];
    for (let i = 0; i < Math.max(1, ROUNDS / 10); i++) seconds.push(await takeover(name));
    const [half, most] = [percentile(seconds, 0.5), Math.max(...seconds)];
    print([
      name,
      seconds.length,
      half.toFixed(1),
      most.toFixed(1),
      '-',
      '-',
      '-',
      '-',
      'new leader in 20 s',
    ]);
  }
} finally {
  await planes.remove();
}

function report(name: string, all: readonly Round[], aim: string): void {
  const sum = (of: (round: Round) => number) => all.reduce((total, round) => total + of(round), 0);
  const gaps = all.map(({ gap }) => gap);
  const [half, most] = [percentile(gaps, 0.5), Math.max(...gaps)];
  const counts = [
    sum((r) => r.writes),
    sum((r) => r.retried),
    sum((r) => r.failed),
    sum((r) => r.lost),
  ];
  print([name, all.length, half.toFixed(2), most.toFixed(2), ...counts, aim]);
}

async function rounds(part: 'apiserver' | 'etcd', victim: () => Promise<number>): Promise<Round[]> {
  const all: Round[] = [];
  for (let i = 0; i < ROUNDS; i++) all.push(await round(part, await victim(), i));
  return all;
}

async function round(part: 'apiserver' | 'etcd', machine: number, number: number): Promise<Round> {
  const prefix = `${part}-${number}`;
  const [nsenter = '', ...within] = planes.enter;
  const writer = join(import.meta.dirname, 'support/steady-writer.ts');
  const words = [...within, process.execPath, writer, planes.kubeconfig, prefix, String(RATE)];
  const child = spawn(nsenter, words, { stdio: ['pipe', 'pipe', 'inherit'] });
  let text = '';
  child.stdout.on('data', (data: Buffer) => {
    text += String(data);
  });
  await sleep(BEFORE_MS);
  await planes.kill(machine, part, 'SIGKILL');
  await sleep(AFTER_MS);
  planes.start(machine, part);
  const ended = once(child, 'close');
  child.stdin.end();
  await ended;
  const { writes, failed } = JSON.parse(text) as {
    writes: [string, number, number][];
    failed: number;
  };
  await awaitApi(planes);
  const there = new Set((await kubectl('get', 'configmaps', '-o', 'name')).split('\n'));
  const times = writes.map(([, at]) => at).sort((a, b) => a - b);
  const gaps = times.slice(1).map((at, i) => (at - (times[i] ?? at)) / 1000);
  const lost = writes.filter(([name]) => !there.has(`configmap/${name}`)).length;
  const retried = writes.filter(([, , tries]) => tries > 1).length;
  await kubectl('delete', 'configmaps', '--all', '--wait=false');
  return { gap: Math.max(...gaps), failed, lost, writes: writes.length, retried };
}

/** Seconds from the death of the leader until another one holds its lease. */
async function takeover(part: 'scheduler' | 'controller-manager'): Promise<number> {
  const holder = async () => {
    const lease = ['lease', '-n', 'kube-system', `kube-${part}`];
    return (await kubectl('get', ...lease, '-o', 'jsonpath={.spec.holderIdentity}')).trim();
  };
  const before = await eventually('one leads', holder, 60_000);
  const victim = await leaderOf(planes, part, before);
  await planes.kill(victim, part, 'SIGKILL');
  const begin = performance.now();
  await eventually('another leads', async () => (await holder()) !== before, 60_000);
  const seconds = (performance.now() - begin) / 1000;
  planes.start(victim, part);
  return seconds;
}

/** The machine whose process has said in its log that it leads under this name. */
async function leaderOf(
  { machines }: ControlPlanes,
  part: string,
  identity: string,
): Promise<number> {
  const found = await Promise.all(
    machines.map(async ({ paths }) => {
      const file = join(paths.logs, `${part}.log`);
      const { exitCode } = await run('grep', ['-q', identity, file], { acceptExitCodes: [0, 1] });
      return exitCode === 0;
    }),
  );
  return found.indexOf(true);
}

async function kubectl(...words: string[]): Promise<string> {
  const [nsenter = '', ...within] = planes.enter;
  const options = { env: { KUBECONFIG: planes.kubeconfig }, timeoutMs: 60_000 };
  return (await run(nsenter, [...within, kubectlProgram(), ...words], options)).stdout;
}
