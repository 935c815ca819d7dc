import { existsSync } from 'node:fs';
import type { Client } from '../client/client.ts';
import { errorMessage } from '../util/errors.ts';
import { authorityFile, keepAuthority, nameAuthorityFile } from './authority-care.ts';
import { bootstrapKubeconfig, PORTS } from './component-flags.ts';
import { joinedSpecs, localServer } from './components.ts';
import { type DiscoveredCluster, discover, type JoinRequest } from './discovery.ts';
import { SECRET_MODE, writeWhole } from './files.ts';
import { importBundles } from './images.ts';
import { addressTowards, assertNameIsFree, assertOwnAddress } from './join-checks.ts';
import { membership, membershipOf, writeMembership } from './membership.ts';
import type { Paths } from './paths.ts';
import { keepPodRoutes } from './pod-routes.ts';
import { isPrepared, prepareNode, settingsFor } from './prepare.ts';
import { heardSince, waitForNode } from './readiness.ts';
import type { ClusterSettings } from './settings.ts';
import { assertFit, supervise, supervisorOf, takeCharge, type UpDeps } from './up.ts';

const CONTEXT = 'k8ts';

/** Makes this machine a node of another's cluster and starts it in the background. Resolves when it is Ready. */
export async function joinCluster(
  paths: Paths,
  request: JoinRequest,
  chosen: { nodeName?: string | undefined; nodeIp?: string | undefined; verbosity: number },
  deps: UpDeps,
): Promise<void> {
  assertFree(paths);
  const found = await discover(request);
  deps.progress(`The cluster at ${request.server} is the one that was meant`);
  const nodeIp = chosen.nodeIp ?? (await addressTowards(found.server));
  const settings = settingsFor({ ...found.settings, ...chosen, nodeIp });
  assertOwnAddress(settings.nodeIp);
  await assertNameIsFree({ ...found, token: request.token }, settings.nodeName);
  await assertFit(paths, joinedSpecs(paths, settings, { ...deps, server: found.server }), {
    ports: nodePorts(settings),
    programs: [],
  });
  await prepareNode(paths, settings, { joined: true });
  writeCredentials(paths, found, request.token, settings);
  deps.progress('Configuration is in place');
  await startJoined(paths, ['--root', paths.root], deps);
}

/** Throws where a cluster, or a node of one, is already. */
export function assertFree(paths: Paths): void {
  const before = membershipOf(paths);
  if (before) {
    throw new Error(
      `This machine is ${before.settings.nodeName} of ${before.server} already; k8ts up starts it, k8ts leave takes it out`,
    );
  }
  if (isPrepared(paths)) {
    throw new Error(`${paths.config} holds a cluster of its own; k8ts down --purge removes it`);
  }
}

/** Starts a node that has joined before, in the background. Resolves when it is Ready. */
export async function startJoined(
  paths: Paths,
  options: readonly string[],
  deps: UpDeps,
): Promise<void> {
  const { settings } = membership(paths);
  const since = heardSince(paths, deps.clock);
  const ready = (signal: AbortSignal) => awaitReady(paths, settings, { ...deps, since }, signal);
  const running = supervisorOf(paths);
  if (running) {
    deps.progress(`The node is already running (process ${running.pid})`);
    await ready(AbortSignal.timeout(60_000));
    return;
  }
  await deps.launch(paths, options, deps.self, ready);
}

/** Runs a joined node until the signal aborts; its Pods go on after that. */
export async function runJoined(paths: Paths, deps: UpDeps, signal: AbortSignal): Promise<void> {
  const { server, settings } = membership(paths);
  takeCharge(paths);
  const specs = joinedSpecs(paths, settings, { ...deps, server });
  await assertFit(paths, specs, { ports: nodePorts(settings), programs: [] });
  await prepareNode(paths, settings, { joined: true }, signal);
  nameAuthorityFile(paths);
  await Promise.all([
    supervise(paths, specs, deps, signal),
    importBundles(paths, signal).catch((err: unknown) => {
      if (!signal.aborted) deps.progress(`Images were not imported: ${errorMessage(err)}`);
    }),
    keepUp(paths, settings, deps, signal),
  ]);
}

/** What the supervisor of a node learns by watching the cluster. */
async function keepUp(
  paths: Paths,
  settings: ClusterSettings,
  deps: UpDeps,
  signal: AbortSignal,
): Promise<void> {
  try {
    const client = await deps.connect(paths.kubeconfig('proxy'));
    await Promise.all([
      keepPodRoutes(paths, settings, { ...deps, client }, signal),
      keepAuthority(paths, settings, { ...deps, client }, signal),
    ]);
  } catch (err) {
    if (!signal.aborted) throw err;
  }
}

/** What the processes of a joined node listen on. */
function nodePorts({ port }: ClusterSettings): number[] {
  return [port, PORTS.kubelet, PORTS.kubeletHealth, PORTS.proxyHealth, PORTS.proxyMetrics];
}

function writeCredentials(
  paths: Paths,
  { server, ca, proxyToken }: DiscoveredCluster,
  token: string,
  settings: ClusterSettings,
): void {
  const secret = (file: string, value: unknown) =>
    writeWhole(file, `${JSON.stringify(value, undefined, 2)}\n`, SECRET_MODE);
  writeWhole(authorityFile(paths), ca);
  const near = localServer(settings);
  secret(bootstrapKubeconfig(paths), tokenKubeconfig(near, paths, token));
  secret(paths.kubeconfig('proxy'), tokenKubeconfig(near, paths, proxyToken));
  // Last: only a node that has all else has joined.
  writeMembership(paths, { server, settings });
}

/** The authority is named by its file, which may change. */
function tokenKubeconfig(server: string, paths: Paths, token: string): unknown {
  const cluster = { server, 'certificate-authority': authorityFile(paths) };
  return {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: CONTEXT, cluster }],
    users: [{ name: CONTEXT, user: { token } }],
    contexts: [{ name: CONTEXT, context: { cluster: CONTEXT, user: CONTEXT } }],
    'current-context': CONTEXT,
  };
}

async function awaitReady(
  paths: Paths,
  { nodeName, network }: ClusterSettings,
  deps: UpDeps & { since: number },
  signal: AbortSignal,
): Promise<void> {
  const client = await awaitIdentity(paths, deps, signal);
  deps.progress('The cluster has signed the certificate of this node');
  if (network === 'none') return;
  await waitForNode(client, { name: nodeName, since: deps.since }, deps.clock, signal);
  deps.progress(`Node ${nodeName} is Ready`);
}

// The kubelet writes its kubeconfig once; another process can only look for it.
const LOOK_MS = 50;

/** A client as this node, once its kubelet has become somebody. */
async function awaitIdentity(paths: Paths, deps: UpDeps, signal: AbortSignal): Promise<Client> {
  const file = paths.kubeconfig('kubelet');
  while (!existsSync(file)) await deps.clock.sleep(LOOK_MS, signal);
  return deps.connect(file);
}
