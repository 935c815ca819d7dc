import type { EndpointSlice, Service } from '../api/types.ts';
import type { Informer, Lister } from '../client/client.ts';
import { familyOf } from '../util/ip.ts';
import { addressOfReverseName, expandIp } from './reverse.ts';

export type Answer =
  | { readonly type: 'A' | 'AAAA' | 'CNAME' | 'PTR'; readonly name: string; readonly data: string }
  | { readonly type: 'TXT'; readonly name: string; readonly data: string }
  | { readonly type: 'SRV'; readonly name: string; readonly data: SrvData }
  | { readonly type: 'SOA'; readonly name: string; readonly data: SoaData };

export interface SoaData {
  readonly mname: string;
  readonly rname: string;
  readonly serial: number;
  readonly refresh: number;
  readonly retry: number;
  readonly expire: number;
  readonly minimum: number;
}

interface SrvData {
  readonly priority: number;
  readonly weight: number;
  readonly port: number;
  readonly target: string;
}

/** What the cluster knows of a name: its records of all types, with those that help (addresses of SRV targets). */
export interface Found {
  readonly answers: readonly Answer[];
  readonly additionals: readonly Answer[];
}

const SERVICE_NAME = 'kubernetes.io/service-name';
const BY_SERVICE = 'service';
const BY_IP = 'ip';
const SCHEMA_VERSION = '1.1.0';

type SliceEndpoint = NonNullable<EndpointSlice['endpoints']>[number];

/** Indexes that `ClusterRecords` looks things up by; to be called before the informers run. */
export function addDnsIndexes(services: Informer<Service>, slices: Informer<EndpointSlice>): void {
  services.addIndex(BY_IP, ({ spec }) => (spec?.clusterIPs ?? []).map(expandIp));
  slices.addIndex(BY_SERVICE, ({ metadata }) => {
    const name = metadata.labels?.[SERVICE_NAME];
    return name ? [`${metadata.namespace}/${name}`] : [];
  });
  slices.addIndex(BY_IP, ({ endpoints }) =>
    (endpoints ?? []).flatMap(({ addresses }) => addresses.map(expandIp)),
  );
}

/**
 * The names of the Kubernetes DNS specification 1.1.0, answered from the informers' caches.
 * https://github.com/kubernetes/dns/blob/master/docs/specification.md
 */
export class ClusterRecords {
  readonly #services: Lister<Service>;
  readonly #slices: Lister<EndpointSlice>;
  readonly #zone: string;

  /** `zone`: the cluster domain, `cluster.local`. */
  constructor(services: Lister<Service>, slices: Lister<EndpointSlice>, zone: string) {
    this.#services = services;
    this.#slices = slices;
    this.#zone = zone.toLowerCase().replace(/\.$/, '');
  }

  isInZone(name: string): boolean {
    return name === this.#zone || name.endsWith(`.${this.#zone}`);
  }

  /** Records of a lower-case name in the zone; undefined: there is no such name. Other types than asked for may be left out. */
  find(name: string, type: string): Found | undefined {
    if (name === this.#zone) return EMPTY;
    const labels = name.slice(0, -this.#zone.length - 1).split('.');
    const kind = labels.at(-1);
    if (labels.length === 1 && kind === 'dns-version') {
      return found([{ type: 'TXT', name, data: SCHEMA_VERSION }]);
    }
    if (kind === 'pod') return findPod(name, labels);
    if (kind !== 'svc') return undefined;
    const [namespace, service, ...rest] = labels.slice(0, -1).reverse();
    if (namespace === undefined) return EMPTY;
    if (service === undefined) {
      return this.#services.list(namespace).length > 0 ? EMPTY : undefined;
    }
    return this.#findService(name, { namespace, name: service }, { type, labels: rest.reverse() });
  }

  /** The name of a cluster IP or of a headless endpoint; undefined when the address is none of the cluster's. */
  findReverse(name: string): Found | undefined {
    const address = addressOfReverseName(name);
    if (address === undefined) return undefined;
    const ip = expandIp(address);
    const names = this.#services
      .byIndex(BY_IP, ip)
      .map(({ metadata }) => this.#serviceName(metadata));
    for (const slice of this.#slices.byIndex(BY_IP, ip)) {
      const service = this.#services.get({
        namespace: slice.metadata.namespace,
        name: slice.metadata.labels?.[SERVICE_NAME] ?? '',
      });
      if (!service || !isHeadless(service)) continue;
      for (const endpoint of slice.endpoints ?? []) {
        if (!endpoint.addresses.some((a) => expandIp(a) === ip) || !isReady(endpoint)) continue;
        names.push(`${hostOf(endpoint, address)}.${this.#serviceName(service.metadata)}`);
      }
    }
    if (names.length === 0) return undefined;
    return found([...new Set(names)].map((data) => ({ type: 'PTR', name, data })));
  }

  #serviceName({ namespace, name }: { namespace: string; name: string }): string {
    return `${name}.${namespace}.svc.${this.#zone}`;
  }

  #findService(
    name: string,
    key: { namespace: string; name: string },
    { type, labels }: { type: string; labels: readonly string[] },
  ): Found | undefined {
    const service = this.#services.get(key);
    if (!service) return undefined;
    if (service.spec?.type === 'ExternalName') {
      const data = (service.spec.externalName ?? '').toLowerCase().replace(/\.$/, '');
      return labels.length === 0 ? found([{ type: 'CNAME', name, data }]) : undefined;
    }
    const [first = '', second] = labels;
    if (first.startsWith('_') || second?.startsWith('_'))
      return this.#findPort(name, service, labels);
    if (labels.length > 1) return undefined;
    const addresses =
      labels.length === 0 && !isHeadless(service)
        ? clusterIPs(name, service)
        : this.#endpoints(service)
            .filter(({ host }) => labels.length === 0 || host === first)
            .map(({ ip }) => addressRecord(name, ip));
    if (addresses.length === 0) return undefined;
    if (labels.length === 0 && type === 'SRV') return portsOf(this.#ports(name, service));
    return found(distinct(addresses));
  }

  #ports(name: string, service: Service): Ports {
    return isHeadless(service)
      ? this.#headlessPorts(name, service)
      : clusterPorts(name, service, this.#serviceName(service.metadata));
  }

  #findPort(name: string, service: Service, labels: readonly string[]): Found | undefined {
    const [portName, protocol] = labels.map((label) => label.slice(1));
    if (labels.length > 2 || labels.some((label) => !label.startsWith('_'))) return undefined;
    const { answers, additionals } = this.#ports(name, service);
    const matching = answers.filter(
      ({ port }) =>
        port.name === (protocol === undefined ? port.name : portName) &&
        port.protocol === (protocol ?? portName),
    );
    if (matching.length === 0) return undefined;
    if (protocol === undefined) return EMPTY;
    return portsOf({ answers: matching, additionals });
  }

  #headlessPorts(name: string, service: Service): Ports {
    const base = this.#serviceName(service.metadata);
    const ports: Ports = { answers: [], additionals: [] };
    for (const { host, ip, slicePorts } of this.#endpoints(service)) {
      const target = `${host}.${base}`;
      ports.additionals.push(addressRecord(target, ip));
      for (const { name: portName, port, protocol } of slicePorts) {
        if (!portName || !port) continue;
        const data = { priority: 0, weight: 100, port, target };
        ports.answers.push({
          port: { name: portName, protocol: (protocol ?? 'TCP').toLowerCase() },
          record: { type: 'SRV', name, data },
        });
      }
    }
    return ports;
  }

  /** Ready addresses of a headless service, each with the label that stands for it. */
  #endpoints({ metadata }: Service) {
    const slices = this.#slices.byIndex(BY_SERVICE, `${metadata.namespace}/${metadata.name}`);
    return slices
      .filter(({ addressType }) => addressType !== 'FQDN')
      .flatMap((slice) =>
        (slice.endpoints ?? []).filter(isReady).flatMap((endpoint) =>
          endpoint.addresses.map((ip) => ({
            ip,
            host: hostOf(endpoint, ip),
            slicePorts: slice.ports ?? [],
          })),
        ),
      );
  }
}

interface Ports {
  readonly answers: {
    port: { name: string; protocol: string };
    record: Extract<Answer, { type: 'SRV' }>;
  }[];
  readonly additionals: Answer[];
}

/** The SRV records, with the addresses of their targets. */
function portsOf({ answers, additionals }: Ports): Found {
  const records = distinct(answers.map(({ record }) => record));
  const targets = new Set(records.map(({ data }) => data.target));
  return {
    answers: records,
    additionals: distinct(additionals.filter(({ name }) => targets.has(name))),
  };
}

const EMPTY: Found = { answers: [], additionals: [] };

function found(answers: readonly Answer[]): Found {
  return { answers, additionals: [] };
}

function clusterIPs(name: string, { spec }: Service): Answer[] {
  const ips = spec?.clusterIPs?.length ? spec.clusterIPs : [spec?.clusterIP ?? ''];
  return ips.filter((ip) => familyOf(ip) !== undefined).map((ip) => addressRecord(name, ip));
}

function clusterPorts(name: string, service: Service, target: string): Ports {
  const answers = (service.spec?.ports ?? []).flatMap(({ name: portName, port, protocol }) => {
    if (!portName) return []; // Unnamed ports have no SRV record.
    const data = { priority: 0, weight: 100, port, target };
    const record = { type: 'SRV' as const, name, data };
    return [{ port: { name: portName, protocol: (protocol ?? 'TCP').toLowerCase() }, record }];
  });
  return { answers, additionals: clusterIPs(target, service) };
}

function addressRecord(name: string, ip: string): Answer {
  return familyOf(ip) === 6
    ? { type: 'AAAA', name, data: expandIp(ip) }
    : { type: 'A', name, data: ip };
}

function distinct<T extends Answer>(answers: readonly T[]): T[] {
  return [...new Map(answers.map((answer) => [JSON.stringify(answer), answer])).values()];
}

function isHeadless({ spec }: Service): boolean {
  return spec?.clusterIP === 'None';
}

/** publishNotReadyAddresses needs no look here: the slices of such a service call every endpoint ready. */
function isReady({ conditions }: SliceEndpoint): boolean {
  return conditions?.ready ?? true;
}

function hostOf({ hostname }: SliceEndpoint, ip: string): string {
  return hostname ? hostname.toLowerCase() : ip.replaceAll(/[.:]/g, '-');
}

/** `10-244-0-5.NAMESPACE.pod`: the address is in the name, whoever has it. */
function findPod(name: string, labels: readonly string[]): Found | undefined {
  const [dashed, namespace, pod] = labels;
  if (labels.length === 1) return EMPTY;
  if (labels.length !== 3 || namespace === '' || pod !== 'pod') return undefined;
  const v4 = dashed?.replaceAll('-', '.') ?? '';
  if (familyOf(v4) === 4 && !v4.includes(':')) return found([{ type: 'A', name, data: v4 }]);
  const v6 = dashed?.replaceAll('-', ':') ?? '';
  return familyOf(v6) === 6 ? found([addressRecord(name, v6)]) : undefined;
}
