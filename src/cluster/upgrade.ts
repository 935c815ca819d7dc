import { readFileSync } from 'node:fs';
import type { Client } from '../client/client.ts';
import { type ProcessIdentity, signalProcess } from '../host/processes.ts';
import type { Clock } from '../util/clock.ts';
import { drain, setSchedulable } from './drain.ts';
import { existingNodes, startNode, withinNode } from './local-nodes.ts';
import { membershipOf } from './membership.ts';
import type { Paths } from './paths.ts';
import { isPrepared, savedSettings } from './prepare.ts';
import { waitForApi, waitForNode } from './readiness.ts';
import { replaceProxyPod, replaceStaticPods } from './replace-pods.ts';
import type { ClusterSettings } from './settings.ts';
import { adopt, findLeftBehind, stop, untilGone } from './supervised-process.ts';
import { runsInUnit } from './unit.ts';
import { supervisorOf, type UpDeps } from './up.ts';

// What others need comes first; whoever asks a server is newer than it at no time.
const ORDER = [
  'etcd',
  'apiserver',
  'controller-manager',
  'scheduler',
  'balancer',
  'proxy',
  'kubelet',
];
const STOP_GRACE_MS = 20_000;
const LIMIT_MS = 300_000;
const LOOK_MS = 100;

interface UpgradeOptions {
  readonly drain: boolean;
}

/**
 * Puts the installed version of k8ts in the place of the one that runs: on this machine's node, then on its extra ones, each
 * emptied first and filled again after. Containers go on; components are replaced one after the other.
 */
export async function upgrade(paths: Paths, options: UpgradeOptions, deps: UpDeps): Promise<void> {
  if (!isPrepared(paths)) return replaceJoined(paths, deps);
  const settings = savedSettings(paths);
  const client = await deps.connect(paths.kubeconfig('admin'));
  const inTurn = async (name: string, replace: () => Promise<void>) => {
    await emptied({ client, name, drain: options.drain }, deps, replace);
    deps.progress(`Node ${name} runs the installed version`);
  };
  await inTurn(settings.nodeName, async () => {
    assertRunning(paths);
    if (settings.staticPods) await replaceStaticPods(paths, settings, { ...deps, client });
    await replaceProcesses(paths, deps, client);
    await replaceProxy(paths, settings, deps);
  });
  for (const node of existingNodes(paths)) {
    await inTurn(node.name, async () => {
      await withinNode(node, deps.self, ['upgrade']);
      await startNode(node, deps.self);
    });
  }
}

/** A node without an administrator: others have emptied it, if they wanted to. */
async function replaceJoined(paths: Paths, deps: UpDeps): Promise<void> {
  const membership = membershipOf(paths);
  if (!membership) throw new Error(`${paths.config} holds no cluster; see: k8ts up, k8ts join`);
  const { settings } = membership;
  const { nodeName } = settings;
  deps.progress(
    `To empty it beforehand, where the cluster is administered: kubectl drain ${nodeName}`,
  );
  await replaceProcesses(paths, deps);
  await replaceProxy(paths, settings, deps);
  deps.progress(`Node ${nodeName} runs the installed version`);
}

/** Works while a node is empty of Pods that can run elsewhere; it takes new ones afterwards, also when that fails. */
async function emptied(
  { client, name, drain: wanted }: { client: Client; name: string; drain: boolean },
  { clock, progress }: Pick<UpDeps, 'clock' | 'progress'>,
  work: () => Promise<void>,
): Promise<void> {
  if (!wanted) return work();
  const signal = AbortSignal.timeout(LIMIT_MS);
  progress(`Draining node ${name}`);
  await drain(client, name, clock, signal);
  const since = clock.now();
  try {
    await work();
    await waitForNode(client, { name, since }, clock, signal);
  } finally {
    await setSchedulable(client, name, true);
  }
}

/** Where the proxy of the node is a Pod. */
async function replaceProxy(paths: Paths, settings: ClusterSettings, deps: UpDeps): Promise<void> {
  if (!settings.staticPods || settings.disabled.includes('kube-proxy')) return;
  const client = await deps.connect(paths.kubeconfig('kubelet'));
  await replaceProxyPod(paths, settings, { ...deps, client });
}

async function replaceProcesses(paths: Paths, deps: UpDeps, client?: Client): Promise<void> {
  await replaceSupervisor(paths, deps);
  for (const name of ORDER) {
    const found = findLeftBehind(name, paths.run);
    if (!found) continue;
    await stop(adopt(found.identity, deps.clock), STOP_GRACE_MS, deps.clock);
    await startedAgain(paths, name, { pid: found.identity.pid, clock: deps.clock });
    if (client) await waitForApi(client, deps.clock, AbortSignal.timeout(LIMIT_MS));
    deps.progress(`Replaced ${name}`);
  }
}

/** Killed, not asked: asked, it would take its processes with it. The new one adopts them. */
async function replaceSupervisor(paths: Paths, { clock, self, launch }: UpDeps): Promise<void> {
  const before = assertRunning(paths);
  const [options, isService] = [optionsOf(before.pid), runsInUnit(before.pid)];
  signalProcess(before.pid, 'SIGKILL');
  await untilGone(before, clock);
  const ready = (signal: AbortSignal) => tookCharge(paths, clock, signal);
  if (isService)
    await ready(AbortSignal.timeout(LIMIT_MS)); // systemd starts it again.
  else await launch(paths, options, self, ready);
}

function assertRunning(paths: Paths): ProcessIdentity {
  const supervisor = supervisorOf(paths);
  if (supervisor) return supervisor;
  throw new Error('The cluster does not run here; k8ts up starts the installed version');
}

/** What the supervisor was started with, behind the word `up`. */
function optionsOf(pid: number): string[] {
  const words = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').filter(Boolean);
  return upOptions(words);
}

/** The title of a process is one word to Linux: k8ts writes its own command line there. Pure. */
export function upOptions(words: readonly string[]): string[] {
  const all = words.length === 1 ? (words[0] ?? '').split(' ') : words;
  const rest = all.slice(all.indexOf('up') + 1);
  return rest.filter((word) => word !== '--detach' && word !== '-d');
}

async function tookCharge(paths: Paths, clock: Clock, signal: AbortSignal): Promise<void> {
  while (!supervisorOf(paths)) await clock.sleep(LOOK_MS, signal);
}

async function startedAgain(
  paths: Paths,
  name: string,
  { pid, clock }: { pid: number; clock: Clock },
): Promise<void> {
  const signal = AbortSignal.timeout(LIMIT_MS);
  for (;;) {
    const now = findLeftBehind(name, paths.run);
    if (now && now.identity.pid !== pid) return;
    await clock.sleep(LOOK_MS, signal);
  }
}
