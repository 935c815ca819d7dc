import { LEASES, NODES } from '../../api/resource-types.ts';
import type { Client } from '../../client/client.ts';
import { errorMessage } from '../../util/errors.ts';
import { isReady } from '../readiness.ts';
import { bad, type Finding, good } from './findings.ts';

// kubelets renew every 10 s and are given up after 40.
const LEASE_LATE_MS = 40_000;

/** What the API server says of itself and of the nodes. Stops at the first thing without which nothing else can be known. */
export async function examineCluster(
  client: Client,
  now: number,
  signal: AbortSignal,
): Promise<Finding[]> {
  try {
    const begin = performance.now();
    await client.raw('GET', '/readyz', undefined, signal);
    const ms = Math.round(performance.now() - begin);
    const api = good('apiserver', `is ready, and answered in ${ms} ms`);
    return [
      api,
      ...(await versionFindings(client, signal)),
      ...(await leaderFindings(client, now, signal)),
      ...(await nodeFindings(client, now, signal)),
    ];
  } catch (err) {
    const next = 'k8ts status; the log of apiserver; then that of its store';
    return [bad('apiserver', `does not answer: ${errorMessage(err)}`, next)];
  }
}

async function versionFindings(client: Client, signal: AbortSignal): Promise<Finding[]> {
  const { gitVersion } = (await client.raw('GET', '/version', undefined, signal)) as {
    gitVersion: string;
  };
  const { items } = await client.list(NODES, {}, signal);
  const minor = (version: string) => Number(/^v1\.(\d+)\./.exec(version)?.[1]);
  const others = items.filter(({ status }) => {
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

async function nodeFindings(client: Client, now: number, signal: AbortSignal): Promise<Finding[]> {
  const nodes = (await client.list(NODES, {}, signal)).items;
  const leases = (await client.list(LEASES, { namespace: 'kube-node-lease' }, signal)).items;
  return nodes.flatMap((node) => {
    const { name } = node.metadata;
    const findings: Finding[] = [];
    if (isReady(node)) findings.push(good(`node ${name}`, 'is Ready'));
    else findings.push(bad(`node ${name}`, 'is not Ready', `kubectl describe node ${name}`));
    const renewed = leases.find(({ metadata }) => metadata.name === name)?.spec?.renewTime;
    const age = now - Date.parse(renewed ?? '');
    if (age < -5000) {
      const seconds = Math.round(-age / 1000);
      findings.push(
        bad(
          `node ${name}`,
          `its clock is ${seconds} s ahead of this machine's`,
          'set the clocks: timedatectl',
        ),
      );
    } else if (!(age < LEASE_LATE_MS)) {
      findings.push(
        bad(
          `node ${name}`,
          `its kubelet has not renewed its lease since ${renewed}`,
          'on it: k8ts status',
        ),
      );
    }
    return findings;
  });
}
