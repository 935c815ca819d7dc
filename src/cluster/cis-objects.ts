import type { BootstrapToken } from '../api/bootstrap-tokens.ts';
import {
  CONFIG_MAPS,
  CRON_JOBS,
  DAEMON_SETS,
  DEPLOYMENTS,
  JOBS,
  NAMESPACES,
  NETWORK_POLICIES,
  NODES,
  PERSISTENT_VOLUME_CLAIMS,
  PODS,
  type ResourceType,
  SECRETS,
  SERVICE_ACCOUNTS,
  SERVICES,
  STATEFUL_SETS,
} from '../api/resource-types.ts';
import {
  CLUSTER_ROLE_BINDINGS,
  CLUSTER_ROLES,
  CSI_DRIVERS,
  CUSTOM_RESOURCE_DEFINITIONS,
  ROLE_BINDINGS,
  ROLES,
} from '../api/system-resource-types.ts';
import type {
  ClusterRole,
  ClusterRoleBinding,
  KubeObject,
  Namespace,
  NetworkPolicy,
  Node,
  Pod,
  Role,
  RoleBinding,
  ServiceAccount,
} from '../api/types.ts';
import type { Client } from '../client/client.ts';
import { isObject } from '../util/json.ts';
import { listTokens } from './bootstrap-tokens.ts';

/** What the API server tells of a cluster, as far as the benchmark asks. */
export interface ClusterObjects {
  readonly nodes: readonly Node[];
  /** The configuration that the kubelet of each node works by; undefined: it does not answer. */
  readonly kubelets: ReadonlyMap<string, unknown>;
  readonly namespaces: readonly Namespace[];
  readonly pods: readonly Pod[];
  readonly accounts: readonly ServiceAccount[];
  readonly roles: readonly (Role | ClusterRole)[];
  readonly bindings: readonly (RoleBinding | ClusterRoleBinding)[];
  readonly policies: readonly NetworkPolicy[];
  readonly csiDrivers: readonly string[];
  readonly definitions: readonly string[];
  readonly tokens: readonly Pick<BootstrapToken, 'id' | 'expires'>[];
  /** Secrets that hold tokens of accounts, which last: `NAMESPACE/NAME`. */
  readonly lastingTokens: readonly string[];
  /** What lies in the namespace default: `RESOURCE/NAME`. */
  readonly inDefault: readonly string[];
}

/** Asks the API server. */
export async function readObjects(client: Client): Promise<ClusterObjects> {
  const all = async <T>(type: ResourceType<T>): Promise<T[]> => (await client.list(type)).items;
  const nodes = await all(NODES);
  const names = nodes.map(({ metadata }) => metadata.name);
  const kubelets = await Promise.all(names.map((name) => kubeletConfiguration(client, name)));
  const roles = [...(await all(ROLES)), ...(await all(CLUSTER_ROLES))];
  const bindings = [...(await all(ROLE_BINDINGS)), ...(await all(CLUSTER_ROLE_BINDINGS))];
  return {
    ...{ nodes, roles, bindings },
    kubelets: new Map(names.map((name, i) => [name, kubelets[i]])),
    namespaces: await all(NAMESPACES),
    pods: await all(PODS),
    accounts: await all(SERVICE_ACCOUNTS),
    policies: await all(NETWORK_POLICIES),
    csiDrivers: await namesOf(client, CSI_DRIVERS),
    definitions: await namesOf(client, CUSTOM_RESOURCE_DEFINITIONS),
    tokens: await listTokens(client),
    lastingTokens: await lastingTokens(client),
    inDefault: await inDefault(client),
  };
}

async function kubeletConfiguration(client: Client, node: string): Promise<unknown> {
  try {
    const answer = await client.raw('GET', `/api/v1/nodes/${node}/proxy/configz`);
    return isObject(answer) ? answer.kubeletconfig : undefined;
  } catch {
    return undefined;
  }
}

/** Contents are not asked for: secrets stay where they are. */
async function namesOf<T>(
  client: Client,
  type: ResourceType<T>,
  selection: { namespace?: string; fieldSelector?: string } = {},
): Promise<string[]> {
  const { items } = await client.list(type, { ...selection, metadataOnly: true });
  return (items as KubeObject[]).map(({ metadata: { namespace, name } }) =>
    type.namespaced && selection.namespace === undefined ? `${namespace}/${name}` : `${name}`,
  );
}

function lastingTokens(client: Client): Promise<string[]> {
  return namesOf(client, SECRETS, { fieldSelector: 'type=kubernetes.io/service-account-token' });
}

const USED: readonly ResourceType<unknown>[] = [
  ...[PODS, SERVICES, CONFIG_MAPS, SECRETS, PERSISTENT_VOLUME_CLAIMS],
  ...[DEPLOYMENTS, STATEFUL_SETS, DAEMON_SETS, JOBS, CRON_JOBS],
];
/** Every cluster has these. */
const ALWAYS = new Set(['services/kubernetes', 'configmaps/kube-root-ca.crt']);

async function inDefault(client: Client): Promise<string[]> {
  const found: string[] = [];
  for (const type of USED) {
    const names = await namesOf(client, type, { namespace: 'default' });
    found.push(...names.map((name) => `${type.resource}/${name}`));
  }
  return found.filter((one) => !ALWAYS.has(one));
}
