import { isNotFound } from '../api/errors.ts';
import { NODES } from '../api/resource-types.ts';
import { loadKubeconfig } from '../client/kubeconfig.ts';
import { RestClient } from '../client/rest-client.ts';
import { realClock } from '../util/clock.ts';
import { errorMessage } from '../util/errors.ts';
import { apiServers } from './api-servers.ts';
import { removeMember } from './etcd-membership.ts';
import { membershipOf } from './membership.ts';
import type { Paths } from './paths.ts';
import { isPrepared, savedSettings } from './prepare.ts';
import type { ClusterSettings } from './settings.ts';

interface Deps {
  /** Stops this machine's processes and Pods and removes all its files. */
  readonly purge: () => Promise<void>;
  readonly progress: (line: string) => void;
}

/**
 * Takes this machine out of its cluster, and everything of the cluster off this machine. What the others cannot be told,
 * since nobody answers, is said to the operator; this machine is cleared all the same.
 */
export async function reset(paths: Paths, { purge, progress }: Deps): Promise<void> {
  if (!isPrepared(paths)) {
    const worker = membershipOf(paths)?.settings.nodeName;
    await purge();
    // A node may not delete its own object (Node authorizer), so a person does.
    if (worker !== undefined)
      progress(`Where the cluster is administered: ${deleteCommand(worker)}`);
    return;
  }
  const settings = savedSettings(paths);
  const others = await attempt(progress, 'Other API servers', () => otherServers(paths, settings));
  const client = others?.length ? await asAdmin(paths, others[0] ?? '') : undefined;
  if (settings.store === 'stacked') {
    const how = await attempt(progress, 'Members of etcd', () =>
      removeMember(paths, settings, realClock),
    );
    if (how === 'removed') progress("This machine's etcd is no member any more");
  }
  await purge();
  if (client === undefined) return;
  await attempt(progress, deleteCommand(settings.nodeName), () =>
    client.delete(NODES, { namespace: '', name: settings.nodeName }).catch((err: unknown) => {
      if (!isNotFound(err)) throw err;
    }),
  );
  client.close();
}

const deleteCommand = (name: string) => `kubectl delete node ${name}`;

/** What goes wrong is told and does not stop the rest. */
async function attempt<T>(
  progress: (line: string) => void,
  what: string,
  act: () => Promise<T>,
): Promise<T | undefined> {
  try {
    return await act();
  } catch (err) {
    progress(`Not done: ${what}: ${errorMessage(err)}`);
    return undefined;
  }
}

async function otherServers(paths: Paths, { nodeIp }: ClusterSettings): Promise<string[]> {
  const client = new RestClient(await loadKubeconfig(paths.kubeconfig('admin')));
  try {
    const all = await apiServers(client, AbortSignal.timeout(10_000));
    return all.filter((address) => !address.startsWith(`${nodeIp}:`));
  } finally {
    client.close();
  }
}

/** The administrator, at another API server: ours is about to end. */
async function asAdmin(paths: Paths, address: string): Promise<RestClient> {
  const access = await loadKubeconfig(paths.kubeconfig('admin'));
  return new RestClient({ ...access, server: `https://${address}` });
}
