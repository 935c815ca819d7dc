import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { NODES } from '../api/resource-types.ts';
import type { Client } from '../client/client.ts';
import { start } from '../host/exec.ts';
import { defaultRouteDevice } from '../host/links.ts';
import { identifyProcess, isAlive, type ProcessIdentity } from '../host/processes.ts';
import type { Clock } from '../util/clock.ts';
import { errorMessage } from '../util/errors.ts';
import type { Logger } from '../util/log.ts';
import { applyAddons, unknownPart, withdrawAddons } from './addons.ts';
import { bindAdministrators } from './administrators.ts';
import { keepAuthorities } from './authority-exchange.ts';
import { announceAuthority } from './authority-news.ts';
import { keepIdentities } from './certificate-care.ts';
import { assertAsChosen } from './choices.ts';
import { PORTS } from './component-flags.ts';
import { heapOptions, type ProcessSpec, processSpecs, type SelfCommand } from './components.ts';
import { awaitVote } from './etcd-membership.ts';
import { readIfExists, writeWhole } from './files.ts';
import { importBundles } from './images.ts';
import { endProxy } from './leave-out.ts';
import { localNodes, startLocalNodes } from './local-nodes.ts';
import type { Paths } from './paths.ts';
import { keepPodRoutes } from './pod-routes.ts';
import { machineFacts, problemsOf } from './preflight.ts';
import { lastLines, prepare } from './prepare.ts';
import { heardSince, retry, waitForApi, waitForDefaultAccount, waitForNode } from './readiness.ts';
import type { ClusterSettings } from './settings.ts';
import { agreeOnParts } from './shared-settings.ts';
import { writeStaticPods } from './static-pods.ts';
import { findLeftBehind } from './supervised-process.ts';
import { Supervisor, statusFile } from './supervisor.ts';

export interface UpDeps {
  readonly clock: Clock;
  readonly log: Logger;
  readonly self: SelfCommand;
  readonly connect: (kubeconfig: string) => Promise<Client>;
  /** This process writes to the journal: so do the processes that it starts. */
  readonly journal: boolean;
  /** How a cluster that goes on in the background is started. */
  readonly launch: Launch;
  /** Gets a line for the operator whenever a step is done. */
  readonly progress: (line: string) => void;
}

/** Starts `k8ts up OPTIONS` to go on without this process. Resolves when `ready` does. */
export type Launch = (
  paths: Paths,
  options: readonly string[],
  self: SelfCommand,
  ready: (signal: AbortSignal) => Promise<unknown>,
) => Promise<void>;

/** kubeadm's. */
export const READY_TIMEOUT_MS = 240_000;

/** Refuses, with every reason, to start on a machine that cannot run these processes. Changes nothing. */
export async function assertFit(
  paths: Paths,
  specs: readonly ProcessSpec[],
  { ports, programs }: { ports: readonly number[]; programs: readonly string[] },
): Promise<void> {
  // Ports of components that an earlier supervisor left behind are ours.
  const ours = specs.some(({ name }) => findLeftBehind(name, paths.run) !== undefined);
  const facts = await machineFacts(paths, {
    ports: ours ? [] : ports,
    programs,
    hasDefaultRoute: defaultRouteDevice() !== undefined,
  });
  const problems = problemsOf(facts, paths);
  if (problems.length > 0) throw new Error(problems.join('\n'));
}

export async function assertClusterFits(
  paths: Paths,
  settings: ClusterSettings,
  { self }: UpDeps,
): Promise<void> {
  const unknown = unknownPart(settings.disabled);
  if (unknown !== undefined) throw new Error(unknown);
  const specs = processSpecs(paths, settings, self);
  const isMember = settings.store === 'stacked';
  const { etcd, etcdPeer, etcdMetrics, ...ports } = PORTS;
  await assertFit(paths, specs, {
    ports: [
      settings.port,
      ...Object.values(ports),
      ...(isMember ? [etcd, etcdPeer, etcdMetrics] : []),
    ],
    programs: isMember && !settings.staticPods ? ['etcd'] : [],
  });
}

/** Starts the cluster and keeps it running until the signal aborts; Pods go on after that. */
export async function up(
  paths: Paths,
  settings: ClusterSettings,
  deps: UpDeps,
  signal: AbortSignal,
): Promise<void> {
  takeCharge(paths);
  const since = kubeletsSince(paths, settings, deps.clock);
  await assertClusterFits(paths, settings, deps);
  await endProxy(paths, settings, deps);
  await prepare(paths, settings, deps.clock.now(), signal);
  deps.progress('Certificates and configuration are in place');
  const specs = processSpecs(paths, settings, deps.self);
  // Kubelets see no node but their own; routes lead to the others.
  const client = await deps.connect(paths.kubeconfig('proxy'));
  await Promise.all([
    supervise(paths, specs, deps, signal),
    announceReady(paths, settings, { ...deps, since }, signal),
    keepIdentities(paths, settings, deps, signal),
    awaitVote(paths, settings, deps.clock, signal).catch((err: unknown) => {
      if (!signal.aborted) throw err;
    }),
    keepPodRoutes(paths, settings, { ...deps, client }, signal),
    // Where there may be other control planes.
    ...(settings.store === 'lmdb' ? [] : [hearOfAuthorities(paths, settings, deps, signal)]),
  ]);
}

async function hearOfAuthorities(
  paths: Paths,
  settings: ClusterSettings,
  deps: UpDeps,
  signal: AbortSignal,
): Promise<void> {
  // It may watch all there is, and reads its certificate again when that has changed.
  const client = await deps.connect(paths.kubeconfig('controller-manager'));
  await keepAuthorities(paths, settings, { ...deps, client }, signal);
}

/** Says who runs this root's processes from now on. Throws when somebody does already. */
export function takeCharge(paths: Paths): void {
  const other = supervisorOf(paths);
  if (other) {
    throw new Error(`The cluster is already running (process ${other.pid}); see: k8ts status`);
  }
  mkdirSync(paths.run, { recursive: true, mode: 0o700 });
  writeWhole(supervisorFile(paths), JSON.stringify(identifyProcess(process.pid)));
}

/** Keeps the processes of a machine running until the signal aborts. */
export async function supervise(
  paths: Paths,
  specs: readonly ProcessSpec[],
  deps: Pick<UpDeps, 'clock' | 'log' | 'journal'>,
  signal: AbortSignal,
): Promise<void> {
  await new Supervisor({ ...deps, runDir: paths.run }, specs).run(signal);
  for (const file of [statusFile(paths.run), supervisorFile(paths)]) rmSync(file, { force: true });
}

/** The same, in the background: resolves when the node is Ready. */
export async function upDetached(
  paths: Paths,
  settings: ClusterSettings,
  options: readonly string[],
  deps: UpDeps,
): Promise<void> {
  const awaited = { ...deps, since: kubeletsSince(paths, settings, deps.clock) };
  const ready = (signal: AbortSignal) => awaitAll(paths, settings, awaited, signal);
  const running = supervisorOf(paths);
  if (running) {
    assertAsChosen(paths, settings);
    deps.progress(`The cluster is already running (process ${running.pid})`);
    await ready(AbortSignal.timeout(READY_TIMEOUT_MS));
    return;
  }
  await assertClusterFits(paths, settings, deps);
  mkdirSync(paths.logs, { recursive: true, mode: 0o700 });
  await endProxy(paths, settings, deps);
  await prepare(paths, settings, deps.clock.now());
  deps.progress('Certificates and configuration are in place');
  await deps.launch(paths, options, deps.self, ready);
}

/** Starts `k8ts up` in the background. Resolves when `ready` does; throws the last words of one that ended before. */
export const detach: Launch = async (paths, options, self, ready) => {
  const logFile = supervisorLog(paths);
  const child = start(self.program, [...self.args, 'up', ...options], {
    env: { NODE_OPTIONS: heapOptions('up') },
    logFile,
    detached: true,
  });
  const failed = child.ended.then(() => {
    throw new Error(`The cluster could not be started:\n${lastLines(logFile, 5)}`);
  });
  const signal = AbortSignal.timeout(READY_TIMEOUT_MS);
  const done = ready(signal).catch((cause: unknown) => {
    if (!signal.aborted) throw cause;
    throw new Error(lateness(paths, logFile), { cause });
  });
  await Promise.race([failed, done]);
};

/** What goes on in the background may still come to its end. */
function lateness({ root }: Paths, logFile: string): string {
  const seconds = READY_TIMEOUT_MS / 1000;
  const where = root === '/' ? '' : ` --root ${root}`;
  return `It is not ready after ${seconds} s, and is still tried; what it waits for is told by: k8ts doctor${where}\n${lastLines(logFile, 5)}`;
}

async function announceReady(
  paths: Paths,
  settings: ClusterSettings,
  deps: AwaitDeps,
  signal: AbortSignal,
): Promise<void> {
  try {
    // What is not imported is missed by the Pods that want it; the cluster itself needs none of it.
    const bundles = importBundles(paths, signal)
      .catch((err: unknown) => {
        if (!signal.aborted) deps.progress(`Images were not imported: ${errorMessage(err)}`);
      })
      // Not before its images are there: the kubelet would wait longer and longer between two looks.
      .then(() => (settings.staticPods ? writeStaticPods(paths, settings) : undefined));
    await bindAdministrators(paths, settings, deps.clock, signal);
    const client = await awaitReady(paths, settings, deps, signal);
    // Addons run on images of ours: their Pods must not look for them too early.
    await bundles;
    await furnish(paths, settings, { ...deps, client }, signal);
  } catch (err) {
    if (!signal.aborted) throw err;
  }
}

/** What a cluster that is ready gets besides. It runs without: what goes wrong is told, and the next `up` tries again. */
async function furnish(
  paths: Paths,
  settings: ClusterSettings,
  deps: UpDeps & { client: Client },
  signal: AbortSignal,
): Promise<void> {
  const { client, progress } = deps;
  try {
    if (settings.network === 'none') await markControlPlane(client, settings.nodeName);
    await announceAuthority(client, paths);
    const agreed = await agreeOnParts(client, settings, signal);
    for (const problem of agreed.problems) progress(problem);
    for (const change of [withdrawAddons, applyAddons]) {
      for (const problem of await change(client, agreed.settings, signal)) progress(problem);
    }
    await startLocalNodes(paths, settings, deps, signal);
  } catch (err) {
    if (!signal.aborted) progress(`The cluster is not complete: ${errorMessage(err)}`);
  }
}

/** `kubectl get nodes` shows the role by this label; kubeadm's. No taint: Pods may run here. */
async function markControlPlane(client: Client, name: string): Promise<void> {
  const body = { metadata: { labels: { 'node-role.kubernetes.io/control-plane': '' } } };
  await client.patch(NODES, { namespace: '', name }, { type: 'merge', body });
}

type AwaitDeps = UpDeps & {
  /** By node of this machine: from when on its kubelet's word counts. */
  readonly since: ReadonlyMap<string, number>;
};

/** For `since`; to be asked before anything is started. */
export function kubeletsSince(
  paths: Paths,
  { nodeName, nodes }: ClusterSettings,
  clock: Clock,
): ReadonlyMap<string, number> {
  const own = { name: nodeName, paths };
  const all = [own, ...localNodes(paths, nodes)];
  return new Map(all.map((node) => [node.name, heardSince(node.paths, clock)]));
}

async function awaitReady(
  paths: Paths,
  settings: ClusterSettings,
  deps: AwaitDeps,
  signal: AbortSignal,
): Promise<Client> {
  const client = await deps.connect(paths.kubeconfig('admin'));
  await waitForApi(client, deps.clock, signal);
  deps.progress(`The API server is ready at https://${settings.nodeIp}:${settings.port}`);
  if (settings.network === 'none') {
    deps.progress(
      'Nodes become Ready when a CNI plugin is installed: kubectl apply -f its manifest',
    );
    return client;
  }
  await Promise.all([
    awaitNode(client, settings.nodeName, deps, signal),
    waitForDefaultAccount(client, deps.clock, signal),
  ]);
  // Whoever is told that it is ready sees its role, too.
  await retry(deps.clock, signal, () => markControlPlane(client, settings.nodeName));
  deps.progress(`Node ${settings.nodeName} is Ready`);
  return client;
}

function awaitNode(
  client: Client,
  name: string,
  { since, clock }: AwaitDeps,
  signal: AbortSignal,
): Promise<void> {
  return waitForNode(client, { name, since: since.get(name) ?? 0 }, clock, signal);
}

/** The same with the extra nodes of this machine. */
export async function awaitAll(
  paths: Paths,
  settings: ClusterSettings,
  deps: AwaitDeps,
  signal: AbortSignal,
): Promise<void> {
  const client = await awaitReady(paths, settings, deps, signal);
  for (const { name } of localNodes(paths, settings.nodes)) {
    await awaitNode(client, name, deps, signal);
    deps.progress(`Node ${name} is Ready`);
  }
}

/** The supervisor that runs this root's cluster, if one does. */
export function supervisorOf(paths: Paths): ProcessIdentity | undefined {
  const text = readIfExists(supervisorFile(paths));
  if (text === undefined) return undefined;
  const identity = JSON.parse(text) as ProcessIdentity;
  return isAlive(identity) && identity.pid !== process.pid ? identity : undefined;
}

export function supervisorLog(paths: Paths): string {
  return join(paths.logs, 'supervisor.log');
}

export function supervisorFile(paths: Paths): string {
  return join(paths.run, 'supervisor.pid');
}
