import { fromMap } from '../api/labels.ts';
import { isPodReady, isPodTerminal, isSidecar } from '../api/pods.ts';
import { keyString } from '../api/resource-types.ts';
import type { Pod, Service } from '../api/types.ts';
import type { Informer, Lister } from '../client/client.ts';
import { keyOf } from '../client/indexer.ts';
import { jsonEqual } from '../util/json.ts';
import { indexByLabel, indexBySelector, selectedBy, selectorsOf } from './selected.ts';

type ServicePort = NonNullable<NonNullable<Service['spec']>['ports']>[number];

/** A port of a Service as one Pod offers it. */
export interface EndpointPort {
  readonly name: string;
  readonly port: number;
  readonly protocol: string;
  readonly appProtocol?: string;
}

/** Endpoints of this Service come from its selector. */
export function hasSelector({ spec }: Service): boolean {
  return Object.keys(spec?.selector ?? {}).length > 0 && spec?.type !== 'ExternalName';
}

export function isHeadless({ spec }: Service): boolean {
  return spec?.clusterIP === 'None';
}

/** The Pods of a Service, whatever their state. */
export function selectedPods({ metadata, spec }: Service, pods: Lister<Pod>): Pod[] {
  return selectedBy(pods, metadata.namespace, fromMap(spec?.selector));
}

/** It has an address and can still answer; a Pod that is going is an endpoint only where asked for. */
export function isEndpoint(pod: Pod, options: { terminating: boolean }): boolean {
  if (isPodTerminal(pod) || podAddresses(pod).length === 0) return false;
  return options.terminating || pod.metadata.deletionTimestamp === undefined;
}

export function podAddresses({ status }: Pod): string[] {
  const all = (status?.podIPs ?? []).map(({ ip }) => ip);
  return all.length > 0 || !status?.podIP ? all : [status.podIP];
}

/** The ports that a Pod offers for a Service; a port whose name the Pod does not know is left out. */
export function endpointPorts(service: Service, pod: Pod): EndpointPort[] {
  const ports: EndpointPort[] = [];
  for (const wanted of service.spec?.ports ?? []) {
    const port = portNumber(wanted, pod);
    if (port === undefined) continue;
    const { name = '', protocol = 'TCP', appProtocol } = wanted;
    ports.push({ name, port, protocol, ...(appProtocol === undefined ? {} : { appProtocol }) });
  }
  return ports;
}

function portNumber({ targetPort, port, protocol = 'TCP' }: ServicePort, pod: Pod) {
  if (targetPort === undefined || targetPort === 0 || targetPort === '') return port;
  if (typeof targetPort === 'number') return targetPort;
  const { initContainers = [], containers = [] } = pod.spec ?? {};
  const all = [...containers, ...initContainers.filter(isSidecar)];
  return all
    .flatMap((container) => container.ports ?? [])
    .find((p) => p.name === targetPort && (p.protocol ?? 'TCP') === protocol)?.containerPort;
}

/** A Pod's own DNS name within a headless Service: hostname set, subdomain the Service's name. */
export function hostnameIn(service: Service, pod: Pod): string | undefined {
  const { hostname, subdomain } = pod.spec ?? {};
  return hostname && subdomain === service.metadata.name ? hostname : undefined;
}

/** Keys of the Services whose endpoints may change with Pods; of no others. Lets `selectedPods` answer, too. */
export function watchServicePods(deps: {
  services: Informer<Service>;
  pods: Informer<Pod>;
  enqueue(key: string): void;
}): void {
  const { services, pods, enqueue } = deps;
  indexBySelector(services);
  indexByLabel(pods);
  const tell = (...states: Pod[]) => {
    for (const { metadata } of states) {
      for (const service of selectorsOf(services, metadata)) {
        if (hasSelector(service)) enqueue(keyOf(service));
      }
    }
  };
  pods.addHandler({
    onAdd: (pod) => tell(pod),
    onUpdate: (before, after) => {
      if (!jsonEqual(endpointFacts(before), endpointFacts(after))) tell(before, after);
    },
    onDelete: (pod) => tell(pod),
  });
}

/** Everything about a Pod that its endpoints are made from: most of its updates change none of it. */
function endpointFacts(pod: Pod): unknown {
  const { hostname, subdomain, nodeName } = pod.spec ?? {};
  return {
    addresses: podAddresses(pod),
    ready: isPodReady(pod),
    terminal: isPodTerminal(pod),
    going: pod.metadata.deletionTimestamp !== undefined,
    labels: pod.metadata.labels,
    uid: pod.metadata.uid,
    hostname,
    subdomain,
    nodeName,
  };
}

/** The key of the Service that an Endpoints object or a slice belongs to. */
export function serviceKey(namespace: string, name: string): string {
  return keyString({ namespace, name });
}
