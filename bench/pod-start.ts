import { mkdirSync, mkdtempSync, rmdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { start } from '../src/host/exec.ts';
import { hostMounts } from '../src/host/mounts.ts';
import { type Cluster, createCluster } from '../test/support/cluster.ts';
import { eventually } from '../test/support/eventually.ts';
import { type Figures, KINDS, type Kind } from './pod-start/pods.ts';

/**
 * From creating Pods to all of them Running, for 1 and for 30, with and without volumes, beside the same Pods made by raw CRI
 * calls: the same requests to the same containerd with nobody else around. All files are in memory: a disk's file system takes
 * its time by its own laws (one without a journal looks, at each new file, for those deleted lately), and whichever side is
 * unlucky. Each side has its turn twice, and its best counts: a machine that others share has better minutes and worse ones.
 */
const TURNS = 2;
const NAMES: Record<Kind, string> = { plain: 'no volumes', volumes: 'volumes' };

type All = Record<Kind, Figures>;

const memory = mkdtempSync(join(tmpdir(), 'k8ts-memory-'));
await hostMounts.mount({ source: 'tmpfs', target: memory, fsType: 'tmpfs' });
const cluster = await createCluster(memory).catch(async (err: unknown) => {
  await forgetMemory();
  throw err;
});
try {
  await cluster.up(); // Imports the images and fills the compile cache.
  await eventually('the images are imported', async () => {
    const { stdout } = await cluster.k8ts('images', 'list');
    return ['k8ts/pause', 'k8ts/busybox'].every((image) => stdout.includes(image));
  });
  await cluster.k8ts('down');
  const raw: All[] = [];
  const ours: All[] = [];
  for (let turn = 0; turn < TURNS; turn++) {
    raw.push(await rawFigures(cluster));
    await cluster.up();
    ours.push(await run('cluster-pods.ts', cluster.paths.kubeconfig('admin')));
    await cluster.k8ts('down');
  }
  console.log('                               k8ts    raw CRI');
  for (const kind of KINDS) print(kind, best(ours, kind), best(raw, kind));
} finally {
  await cluster.remove();
  await forgetMemory();
}

function best(turns: readonly All[], kind: Kind): Figures {
  const least = (of: keyof Figures) => Math.min(...turns.map((each) => each[kind][of]));
  return { one: least('one'), thirty: least('thirty') };
}

function print(kind: Kind, { one, thirty }: Figures, raw: Figures): void {
  const ms = (value: number) => `${value.toFixed(0).padStart(6)} ms`;
  const what = (pods: string) => `${pods}, ${NAMES[kind]}`.padEnd(26);
  console.log(
    `${what(' 1 Pod')}${ms(one)}  ${ms(raw.one)}   ${(one - raw.one).toFixed(0)} ms more (at most 150)`,
  );
  console.log(
    `${what('30 Pods at once')}${ms(thirty)}  ${ms(raw.thirty)}   ratio ${(thirty / raw.thirty).toFixed(2)} (at most 1.20)`,
  );
}

async function forgetMemory(): Promise<void> {
  await hostMounts.unmount(memory);
  rmdirSync(memory);
}

/** containerd alone, without a kubelet that would collect Pods it does not know. */
async function rawFigures({ paths, network }: Cluster): Promise<All> {
  mkdirSync(paths.run, { recursive: true });
  const [nsenter = '', ...words] = network.enter;
  const args = [...words, 'containerd', '--config', paths.containerd.config];
  const containerd = start(nsenter, args, { logFile: join(paths.logs, 'containerd-raw.log') });
  try {
    const { socket } = paths.containerd;
    await eventually('containerd answers', () =>
      network.run('ctr', ['--address', socket, 'version']),
    );
    // Where the kubelet would put them: each level of groups costs.
    const group = join(paths.cgroupRoot, 'kubepods', 'besteffort');
    return await run('raw-pods.ts', socket, join(paths.logs, 'raw'), group);
  } finally {
    containerd.kill('SIGTERM');
    await containerd.ended;
  }
}

/** Runs a script of pod-start/ in the cluster's network. */
async function run(script: string, ...args: string[]): Promise<All> {
  const file = join(import.meta.dirname, 'pod-start', script);
  const options = { timeoutMs: 300_000 };
  const { stdout } = await cluster.network.run(process.execPath, [file, ...args], options);
  return JSON.parse(stdout);
}
