import { ApiError } from '../../api/errors.ts';
import { isPodReady, isPodTerminal } from '../../api/pods.ts';
import { LEASES, NODES, PODS } from '../../api/resource-types.ts';
import type { Lease, Node, Pod } from '../../api/types.ts';
import type { Client } from '../../client/client.ts';
import { errorMessage } from '../../util/errors.ts';
import { apiServers } from '../api-servers.ts';
import { clockProblem } from '../join-checks.ts';
import { isReady } from '../readiness.ts';
import type { ClusterSettings } from '../settings.ts';
import { ask } from './ask.ts';
import { dnsFinding } from './examine-dns.ts';
import { reasonIn } from './examine-health.ts';
import { bad, type Finding, good } from './findings.ts';

// kubelets renew every 10 s and are given up after 40.
const LEASE_LATE_MS = 40_000;
const AHEAD_MS = 5000;
const WITHIN_MS = 10_000;

interface Look {
  readonly client: Client;
  /** `https://HOST:PORT` of an API server, or of the balancer before all. */
  readonly server: string;
  readonly settings: ClusterSettings;
  readonly now: number;
}

/** What the API server says of itself and of the nodes. Stops at the first thing without which nothing else can be known. */
export async function examineCluster(look: Look): Promise<Finding[]> {
  const { client, server, settings, now } = look;
  const signal = AbortSignal.timeout(WITHIN_MS);
  const api = await apiFinding(server);
  if (!api.ok) return [api];
  try {
    const nodes = (await client.list(NODES, {}, signal)).items;
    return [
      api,
      ...(await versionFindings(client, nodes, signal)),
      ...(await clockFindings(client, signal)),
      ...(await leaderFindings(client, now, signal)),
      ...(await nodeFindings(client, { nodes, now }, signal)),
      ...(await systemPodFindings(client, signal)),
      ...(settings.disabled.includes('dns') ? [] : [await dnsFinding(client, settings, signal)]),
    ];
  } catch (err) {
    return [api, accessFinding(err)];
  }
}

/** How the API server that a node reaches is; what it lacks is named, most often its store. */
export async function apiFinding(server: string): Promise<Finding> {
  const next = 'k8ts status; the log of apiserver; then that of its store';
  const begin = performance.now();
  try {
    const { status, body } = await ask(`${server}/readyz?verbose`);
    const ms = Math.round(performance.now() - begin);
    // Strangers may be refused an answer, and that is one too.
    if (status < 500) return good('apiserver', `is ready, and answered in ${ms} ms`);
    return bad('apiserver', `is not ready: ${reasonIn(body)}`, next);
  } catch (err) {
    return bad('apiserver', `does not answer at ${server}: ${errorMessage(err)}`, next);
  }
}

/** Why somebody whom the API server should know is not answered. */
export function accessFinding(err: unknown): Finding {
  const isStranger = err instanceof ApiError && err.code === 401;
  return isStranger
    ? bad('apiserver', `does not know the certificate of this kubeconfig: ${err.message}`, RENEW)
    : bad('apiserver', errorMessage(err), 'k8ts status; the log of apiserver');
}

const RENEW = 'k8ts certs check-expiration; k8ts certs renew all';

async function versionFindings(
  client: Client,
  nodes: readonly Node[],
  signal: AbortSignal,
): Promise<Finding[]> {
  const { gitVersion } = (await client.raw('GET', '/version', undefined, signal)) as {
    gitVersion: string;
  };
  return versionsOf(gitVersion, nodes);
}

/** Pure. */
export function versionsOf(gitVersion: string, nodes: readonly Node[]): Finding[] {
  const minor = (version: string) => Number(/^v1\.(\d+)\./.exec(version)?.[1]);
  const others = nodes.filter(({ status }) => {
    const gap = minor(gitVersion) - minor(status?.nodeInfo?.kubeletVersion ?? gitVersion);
    return gap < 0 || gap > 3;
  });
  if (others.length === 0) return [good('versions', `${gitVersion}, and kubelets that fit it`)];
  return others.map(({ metadata, status }) =>
    bad(
      'versions',
      `kubelet ${status?.nodeInfo?.kubeletVersion} of ${metadata.name} does not fit the API server's ${gitVersion}`,
      'upgrade it: a kubelet may be up to three minor versions older, and never newer',
    ),
  );
}

/** Of all API servers, by the time that they say. One that does not answer is told so. */
async function clockFindings(client: Client, signal: AbortSignal): Promise<Finding[]> {
  const servers = await apiServers(client, signal);
  const found = await Promise.all(
    servers.map(async (address): Promise<Finding[]> => {
      const server = `https://${address}`;
      try {
        const { time } = await ask(`${server}/livez`);
        const problem = clockProblem(server, time, Date.now());
        return problem === undefined ? [] : [bad('clock', problem, 'timedatectl')];
      } catch (err) {
        const next = `there: k8ts status; from here: ip route get ${new URL(server).hostname}`;
        return [bad('apiserver', `${server} does not answer: ${errorMessage(err)}`, next)];
      }
    }),
  );
  const problems = found.flat();
  return problems.length > 0
    ? problems
    : [good('clock', `fits that of ${servers.join(', ') || 'no API server'}`)];
}

/** Those that are elected: where there is one of each, none is. */
const ELECTED = ['kube-controller-manager', 'kube-scheduler'];

async function leaderFindings(
  client: Client,
  now: number,
  signal: AbortSignal,
): Promise<Finding[]> {
  const { items } = await client.list(LEASES, { namespace: 'kube-system' }, signal);
  return items
    .filter(({ metadata }) => ELECTED.includes(metadata.name))
    .map(({ metadata: { name }, spec }) => leaderFinding(name, spec ?? {}, now));
}

/** Pure. */
export function leaderFinding(
  name: string,
  lease: {
    holderIdentity?: string | undefined;
    renewTime?: string | undefined;
    leaseDurationSeconds?: number | undefined;
  },
  now: number,
): Finding {
  const { holderIdentity: holder = '', renewTime = '', leaseDurationSeconds = 15 } = lease;
  const age = Math.round((now - Date.parse(renewTime)) / 1000);
  if (holder !== '' && age <= leaseDurationSeconds) return good(name, `${holder} leads`);
  return bad(
    name,
    holder === '' ? 'nobody leads' : `${holder} led, and has not said so for ${age} s`,
    `k8ts status on the control planes; kubectl -n kube-system describe lease ${name}`,
  );
}

async function nodeFindings(
  client: Client,
  { nodes, now }: { nodes: readonly Node[]; now: number },
  signal: AbortSignal,
): Promise<Finding[]> {
  const leases = (await client.list(LEASES, { namespace: 'kube-node-lease' }, signal)).items;
  return nodes.flatMap((node) => {
    const lease = leases.find(({ metadata }) => metadata.name === node.metadata.name);
    return nodeFinding(node, lease, now);
  });
}

/** How a node is, and when its kubelet last said so. Pure. */
export function nodeFinding(node: Node, lease: Lease | undefined, now: number): Finding[] {
  const about = `node ${node.metadata.name}`;
  const conditions = node.status?.conditions ?? [];
  const message = conditions.find(({ type }) => type === 'Ready')?.message;
  const describe = `kubectl describe node ${node.metadata.name}`;
  const wrong = conditions.filter(({ type, status }) => type !== 'Ready' && status === 'True');
  return [
    isReady(node)
      ? good(about, node.spec?.unschedulable ? 'is Ready, and takes no new Pods' : 'is Ready')
      : bad(about, `is not Ready: ${message ?? 'its kubelet has said nothing yet'}`, describe),
    ...wrong.map(({ type, message: why }) => bad(about, `${type}: ${why}`, describe)),
    ...leaseFindings(about, { lease, ready: isReady(node), now }),
  ];
}

function leaseFindings(
  about: string,
  { lease, ready, now }: { lease: Lease | undefined; ready: boolean; now: number },
): Finding[] {
  const renewed = lease?.spec?.renewTime;
  const age = now - Date.parse(renewed ?? '');
  const seconds = Math.round(Math.abs(age) / 1000);
  if (age < -AHEAD_MS) {
    const what = `its clock is ${seconds} s ahead of this machine's`;
    return [bad(about, what, 'set the clocks: timedatectl')];
  }
  if (age < LEASE_LATE_MS) return [];
  // Whether it is Ready is judged by the time at which a renewal arrives, not by what is written in it.
  if (renewed === undefined) return [bad(about, 'its kubelet has no lease', 'on it: k8ts doctor')];
  const what = ready
    ? `it is Ready, but renews its lease with a time of ${seconds} s ago: its clock is behind, or its kubelet has just ended`
    : `its kubelet has not renewed its lease since ${renewed}`;
  return [bad(about, what, 'on it: k8ts doctor, date')];
}

async function systemPodFindings(client: Client, signal: AbortSignal): Promise<Finding[]> {
  const { items } = await client.list(PODS, { namespace: 'kube-system' }, signal);
  const waiting = items.filter((pod) => !isPodReady(pod) && !isPodTerminal(pod));
  return waiting.map((pod) => systemPodFinding(pod));
}

function systemPodFinding({ metadata: { name } }: Pod): Finding {
  return bad(`pod ${name}`, 'is not ready', `k8ts doctor pod ${name} -n kube-system`);
}
