import { isNotFound } from '../api/errors.ts';
import { CONFIG_MAPS } from '../api/resource-types.ts';
import type { Client } from '../client/client.ts';
import { errorMessage } from '../util/errors.ts';
import { applyObjects } from './apply.ts';
import type { ClusterSettings } from './settings.ts';

/** The settings that every node of a cluster shares. */
export type SharedSettings = Pick<
  ClusterSettings,
  | 'podCidr'
  | 'serviceCidr'
  | 'nodePorts'
  | 'dnsIp'
  | 'domain'
  | 'disabled'
  | 'port'
  | 'staticPods'
  | 'store'
  | 'externalEtcd'
  | 'endpoint'
  | 'network'
>;

/** Where nodes that join find them (deploy/nodes.yaml), as JSON. */
export const SETTINGS_OBJECT = { namespace: 'kube-system', name: 'k8ts-config' };
const KEY = 'cluster.json';

export function sharedSettings(settings: ClusterSettings): SharedSettings {
  const { podCidr, serviceCidr, nodePorts, dnsIp, domain, disabled } = settings;
  const { port, staticPods, store, externalEtcd, endpoint, network } = settings;
  return {
    ...{ podCidr, serviceCidr, nodePorts, dnsIp, domain, disabled },
    ...{ port, staticPods, store, externalEtcd, endpoint, network },
  };
}

/** Those of a cluster. Undefined: no other machine was ever let in. */
async function settingsTold(client: Client): Promise<SharedSettings | undefined> {
  try {
    const { data } = await client.get(CONFIG_MAPS, SETTINGS_OBJECT);
    const told: SharedSettings = JSON.parse(data?.[KEY] ?? '{}');
    if (!Array.isArray(told.disabled)) throw new Error('it does not say what is left out');
    return told;
  } catch (err) {
    if (isNotFound(err)) return undefined;
    const { namespace, name } = SETTINGS_OBJECT;
    const why = `ConfigMap ${namespace}/${name}, key ${KEY}: ${errorMessage(err)}`;
    throw new Error(`${why}; delete it: k8ts token create makes it anew`, { cause: err });
  }
}

/**
 * What the cluster leaves out is chosen on the first control plane, which tells the others when it starts: those remember
 * only how it was when they joined. Answers the settings with what counts now, and what could not be told.
 */
export async function agreeOnParts(
  client: Client,
  settings: ClusterSettings,
  signal: AbortSignal,
): Promise<{ settings: ClusterSettings; problems: string[] }> {
  const told = await settingsTold(client);
  if (!told) return { settings, problems: [] };
  const { disabled } = settings.chosen ? settings : told;
  const agreed = { ...settings, disabled };
  if (!settings.chosen || same(told.disabled, disabled)) return { settings: agreed, problems: [] };
  const object = {
    ...{ apiVersion: 'v1', kind: 'ConfigMap', metadata: SETTINGS_OBJECT },
    data: { [KEY]: JSON.stringify(sharedSettings(agreed)) },
  };
  return { settings: agreed, problems: await applyObjects(client, [object], signal) };
}

function same(one: readonly string[], other: readonly string[]): boolean {
  return one.toSorted().join() === other.toSorted().join();
}
