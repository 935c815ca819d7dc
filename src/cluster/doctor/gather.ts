import { fromMap, matches } from '../../api/labels.ts';
import {
  CRON_JOBS,
  DAEMON_SETS,
  DEPLOYMENTS,
  ENDPOINT_SLICES,
  EVENTS,
  JOBS,
  NAMESPACES,
  NETWORK_POLICIES,
  type ObjectKey,
  PODS,
  REPLICA_SETS,
  REPLICATION_CONTROLLERS,
  RESOURCE_QUOTAS,
  type ResourceType,
  STATEFUL_SETS,
} from '../../api/resource-types.ts';
import type { Event, Pod, Service } from '../../api/types.ts';
import type { Client } from '../../client/client.ts';
import { run } from '../../host/exec.ts';
import type { ClusterSettings } from '../settings.ts';
import { connectionProblem } from './ask.ts';
import { type AbsenceFacts, chainOf, type Maker } from './diagnose-makers.ts';
import { destinations, type ServiceFacts } from './diagnose-service.ts';
import { addressesOf } from './examine-dns.ts';

// Each is connected to: more would tell nothing new.
const MOST_TRIED = 10;

/** What was told of an object, oldest first. */
export async function eventsOf(client: Client, { metadata }: Pod): Promise<Event[]> {
  const fieldSelector = `involvedObject.uid=${metadata.uid}`;
  const { items } = await client.list(EVENTS, { namespace: metadata.namespace, fieldSelector });
  return inOrder(items);
}

function inOrder(events: readonly Event[]): Event[] {
  const time = ({ lastTimestamp, eventTime }: Event) => lastTimestamp ?? eventTime ?? '';
  return events.toSorted((a, b) => time(a).localeCompare(time(b)));
}

/** Kinds that make Pods, those that make others of them first. */
const MAKERS = [
  CRON_JOBS,
  DEPLOYMENTS,
  REPLICA_SETS,
  REPLICATION_CONTROLLERS,
  STATEFUL_SETS,
  DAEMON_SETS,
  JOBS,
] as readonly ResourceType<unknown>[] as readonly ResourceType<Maker>[];

async function makersIn(client: Client, namespace: string): Promise<Maker[]> {
  const lists = await Promise.all(MAKERS.map((type) => client.list(type, { namespace })));
  return lists.flatMap(({ items }) => items);
}

interface Absence extends AbsenceFacts {
  readonly all: readonly Pod[];
}

/** What is known of a Pod that is not there. */
export async function absenceFacts(
  client: Client,
  { namespace, name }: ObjectKey,
): Promise<Absence> {
  const [makers, events, quotas, pods] = await Promise.all([
    makersIn(client, namespace),
    client.list(EVENTS, { namespace }),
    client.list(RESOURCE_QUOTAS, { namespace }),
    client.list(PODS, { namespace }),
  ]);
  const counts = new Map<string, number>();
  for (const { metadata } of pods.items) {
    for (const { uid } of metadata.ownerReferences ?? [])
      counts.set(uid, (counts.get(uid) ?? 0) + 1);
  }
  const facts = { namespace, name, makers, quotas: quotas.items, pods: counts };
  return { ...facts, events: inOrder(events.items), all: pods.items };
}

/** The Pods of a maker of this very name. */
export function podsOf({ makers, name, all }: Absence): readonly Pod[] {
  const uids = chainOf({ makers, name }).map(({ metadata }) => metadata.uid);
  const isNamed = makers.some(({ metadata }) => metadata.name === name);
  if (!isNamed) return [];
  return all.filter(({ metadata }) =>
    (metadata.ownerReferences ?? []).some(({ uid }) => uids.includes(uid)),
  );
}

/** What is known of a Service that does not answer. Looks into the kernel of this node, and connects from it. */
export async function serviceFacts(
  client: Client,
  about: { service: Service; from: ObjectKey | undefined; settings: ClusterSettings },
): Promise<ServiceFacts> {
  const { service, from, settings } = about;
  const { namespace, name } = service.metadata;
  const labelSelector = `kubernetes.io/service-name=${name}`;
  const [pods, slices, policies, namespaces, makers, rules, source] = await Promise.all([
    client.list(PODS, { namespace }),
    client.list(ENDPOINT_SLICES, { namespace, labelSelector }),
    settings.disabled.includes('network-policy') ? { items: [] } : client.list(NETWORK_POLICIES),
    client.list(NAMESPACES),
    makersIn(client, namespace),
    kernelRules(),
    from ? client.get(PODS, from) : undefined,
  ]);
  const fqdn = `${name}.${namespace}.svc.${settings.domain}`;
  const [tried, dns] = await Promise.all([
    connections(service, destinations(slices.items)),
    settings.disabled.includes('dns') ? undefined : addressesOf(fqdn, settings),
  ]);
  return {
    ...{ service, pods: pods.items, slices: slices.items, rules, tried, dns, from: source },
    ...{ policies: policies.items, namespaces: namespaces.items },
    makers: makers.filter((maker) => isFor(service, maker)).map(({ metadata }) => metadata.name),
  };
}

/** Whether a maker's Pods would be chosen. */
function isFor({ spec }: Service, maker: Maker): boolean {
  const wanted = fromMap(spec?.selector);
  const { template } = (maker.spec ?? {}) as { template?: Pod };
  return wanted.length > 0 && template !== undefined && matches(wanted, template.metadata?.labels);
}

/** Connects to where packets end and to where they begin, as far as that can be done without saying anything: by TCP. */
async function connections(
  { spec }: Service,
  ends: readonly { host: string; port: { number: number; protocol: string } }[],
): Promise<Map<string, string | undefined>> {
  const ip = spec?.clusterIP ?? '';
  const doors = ip === '' || ip === 'None' ? [] : (spec?.ports ?? []);
  const all = [
    ...ends.slice(0, MOST_TRIED).map(({ host, port }) => ({ host, ...port })),
    ...doors.map(({ port, protocol = 'TCP' }) => ({ host: ip, number: port, protocol })),
  ].filter(({ protocol }) => protocol === 'TCP');
  return new Map(
    await Promise.all(
      all.map(async ({ host, number }) => {
        return [`${host}:${number}`, await connectionProblem(host, number)] as const;
      }),
    ),
  );
}

/** What routes Services here, in whichever mode. */
async function kernelRules(): Promise<string> {
  const command = 'iptables-save; ip6tables-save; nft list ruleset; ipvsadm -Sn';
  const { stdout } = await run('sh', ['-c', `(${command}) 2>/dev/null; true`]);
  return stdout;
}
