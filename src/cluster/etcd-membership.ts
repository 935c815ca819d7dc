import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type EtcdMember, EtcdMembers } from '../storage/etcd-members.ts';
import type { Clock } from '../util/clock.ts';
import { errorMessage } from '../util/errors.ts';
import { PORTS, peerUrl } from './component-flags.ts';
import type { Paths } from './paths.ts';
import type { ClusterSettings } from './settings.ts';

const LOOK_MS = 500;
const SETTLE_MS = 60_000;

/** Joins the members of etcd at these addresses. Answers those that were there, as `--initial-cluster` names them. */
export async function addMember(
  paths: Paths,
  { nodeName, nodeIp }: ClusterSettings,
  addresses: readonly string[],
  clock: Clock,
): Promise<string> {
  return withMembers(paths, addresses, async (members) => {
    const own = peerUrl(nodeIp);
    const all = await members.list();
    const others = all.filter(({ peerUrls }) => !peerUrls.includes(own));
    const namesake = others.find(({ name }) => name === nodeName);
    if (namesake) {
      throw new Error(
        `etcd has a member ${nodeName} already, at ${namesake.peerUrls}; choose another --node-name, or remove that one`,
      );
    }
    // One that was added and never started is this machine, which was stopped on the way.
    if (others.length === all.length) await whenSettled(clock, () => members.addLearner(own));
    return initialCluster(others);
  });
}

/** Pure. */
export function initialCluster(members: readonly EtcdMember[]): string {
  return members
    .flatMap(({ name, peerUrls }) => (name === '' ? [] : peerUrls.map((url) => `${name}=${url}`)))
    .join(',');
}

/** The addresses of machines in an `--initial-cluster`. Pure. */
export function addressesIn(initial: string): string[] {
  return initial
    .split(',')
    .filter((text) => text !== '')
    .map((text) => new URL(text.replace(/^[^=]*=/, '')).hostname);
}

/** Gives this machine's member its vote as soon as it has caught up. Resolves then. */
export async function awaitVote(
  paths: Paths,
  settings: ClusterSettings,
  clock: Clock,
  signal: AbortSignal,
): Promise<void> {
  const addresses = addressesIn(settings.etcdPeers);
  if (addresses.length === 0) return;
  let last: unknown;
  while (!signal.aborted) {
    try {
      if (await vote(paths, settings, addresses)) return;
    } catch (err) {
      last = err;
    }
    await clock.sleep(LOOK_MS, signal).catch(() => {});
  }
  throw new Error(`This machine's etcd got no vote: ${errorMessage(last)}`, { cause: last });
}

async function vote(
  paths: Paths,
  { nodeIp }: ClusterSettings,
  addresses: readonly string[],
): Promise<boolean> {
  return withMembers(paths, addresses, async (members) => {
    const own = (await members.list()).find(({ peerUrls }) => peerUrls.includes(peerUrl(nodeIp)));
    if (!own) throw new Error('it is no member any more: k8ts reset, then k8ts join');
    if (own.isLearner) await members.promote(own.id);
    return true;
  });
}

/** Takes this machine's member out, unless it is the only one. */
export async function removeMember(
  paths: Paths,
  { nodeIp }: ClusterSettings,
  clock: Clock,
): Promise<'removed' | 'last' | 'unknown'> {
  const ask = <T>(addresses: readonly string[], act: (members: EtcdMembers) => Promise<T>) =>
    withMembers(paths, addresses, act);
  const all = await membersAt(paths, [nodeIp]);
  const own = all.find(({ peerUrls }) => peerUrls.includes(peerUrl(nodeIp)));
  if (!own) return 'unknown';
  const others = all.filter((one) => one !== own && !one.isLearner);
  if (others.length === 0) return 'last';
  const addresses = others.flatMap(({ peerUrls }) => peerUrls.map((url) => new URL(url).hostname));
  await whenSettled(clock, () => ask(addresses, (members) => members.remove(own.id)));
  return 'removed';
}

/** The members of etcd, as one of those at these addresses knows them. */
export function membersAt(paths: Paths, addresses: readonly string[]): Promise<EtcdMember[]> {
  return withMembers(paths, addresses, (members) => members.list());
}

/** etcd changes its members one at a time, and only when those that it has have been in touch for some seconds. */
async function whenSettled<T>(clock: Clock, act: () => Promise<T>): Promise<T> {
  const deadline = clock.now() + SETTLE_MS;
  for (;;) {
    try {
      return await act();
    } catch (err) {
      const isUnsettled = /unhealthy cluster|too many learner/.test(errorMessage(err));
      if (!isUnsettled || clock.now() > deadline) throw err;
      await clock.sleep(LOOK_MS);
    }
  }
}

async function withMembers<T>(
  { pki }: Paths,
  addresses: readonly string[],
  act: (members: EtcdMembers) => Promise<T>,
): Promise<T> {
  const read = (name: string) => readFileSync(join(pki, name), 'utf8');
  const members = new EtcdMembers({
    endpoints: addresses.map((address) => `https://${address}:${PORTS.etcd}`),
    authority: read('etcd/ca.crt'),
    certificate: read('etcd/healthcheck-client.crt'),
    key: read('etcd/healthcheck-client.key'),
  });
  try {
    return await act(members);
  } finally {
    members.close();
  }
}
