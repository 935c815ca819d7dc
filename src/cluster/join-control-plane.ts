import { loadKubeconfig } from '../client/kubeconfig.ts';
import { RestClient } from '../client/rest-client.ts';
import type { Clock } from '../util/clock.ts';
import { apiServers } from './api-servers.ts';
import { type DiscoveredCluster, discover, type JoinRequest } from './discovery.ts';
import { addMember } from './etcd-membership.ts';
import { assertFree } from './join.ts';
import { addressTowards, assertNameIsFree, assertOwnAddress } from './join-checks.ts';
import { writeMembership } from './membership.ts';
import type { Paths } from './paths.ts';
import { prepare, settingsFor } from './prepare.ts';
import type { ClusterSettings } from './settings.ts';
import { downloadCertificates } from './shared-certificates.ts';
import { assertClusterFits, awaitAll, kubeletsSince, type UpDeps } from './up.ts';

/** What one more control plane is made from. */
export interface ControlPlaneRequest extends JoinRequest {
  /** What the cluster's authorities are encrypted with. */
  readonly certificateKey: string;
}

/** Makes this machine one more control plane of a cluster, and starts it in the background. Resolves when it is Ready. */
export async function joinControlPlane(
  paths: Paths,
  request: ControlPlaneRequest,
  chosen: { nodeName?: string | undefined; nodeIp?: string | undefined; verbosity: number },
  deps: UpDeps,
): Promise<void> {
  assertFree(paths);
  const found = await discover(request);
  deps.progress(`The cluster at ${request.server} is the one that was meant`);
  // The first control plane knows its Pod range beforehand; this one waits for its own.
  const nodeIp = chosen.nodeIp ?? (await addressTowards(found.server));
  let settings = settingsFor({ ...found.settings, ...chosen, nodeIp, nodePodCidr: '' });
  assertOwnAddress(settings.nodeIp);
  await assertNameIsFree({ ...found, token: request.token }, settings.nodeName);
  if (settings.store === 'lmdb') {
    throw new Error(
      'This cluster keeps its state inside of its one API server. More control planes need a store that they share: k8ts up --etcd stacked, in a new cluster',
    );
  }
  await assertClusterFits(paths, settings, deps);
  await fetchCertificates(paths, request, found);
  await prepare(paths, settings, deps.clock.now());
  deps.progress('Certificates and configuration are in place');
  settings = await enter(paths, settings, found, deps.clock);
  await prepare(paths, settings, deps.clock.now());
  // Last: only a machine that has all else has joined.
  writeMembership(paths, { server: found.server, settings, controlPlane: true });
  if (settings.store === 'stacked') deps.progress('etcd has one more member');
  const awaited = { ...deps, since: kubeletsSince(paths, settings, deps.clock) };
  await deps.launch(paths, ['--root', paths.root], deps.self, (signal) =>
    awaitAll(paths, settings, awaited, signal),
  );
}

async function fetchCertificates(
  paths: Paths,
  { token, certificateKey }: ControlPlaneRequest,
  { server, ca }: DiscoveredCluster,
): Promise<void> {
  const member = new RestClient({ server, ca: { data: ca }, token: { data: token } });
  try {
    await downloadCertificates(member, paths, certificateKey);
  } finally {
    member.close();
  }
}

/** Joins the members of etcd, where this cluster has its own. Answers the settings with those. */
async function enter(
  paths: Paths,
  settings: ClusterSettings,
  { server }: DiscoveredCluster,
  clock: Clock,
): Promise<ClusterSettings> {
  if (settings.store !== 'stacked') return settings;
  const { nodeIp } = settings;
  const admin = new RestClient({ ...(await loadKubeconfig(paths.kubeconfig('admin'))), server });
  try {
    const hosts = (await apiServers(admin)).map((address) => address.replace(/:\d+$/, ''));
    const others = hosts.filter((host) => host !== nodeIp);
    return { ...settings, etcdPeers: await addMember(paths, settings, others, clock) };
  } finally {
    admin.close();
  }
}
