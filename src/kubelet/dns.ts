import { readFile } from 'node:fs/promises';
import type { Pod } from '../api/types.ts';
import type { EventRecorder } from '../client/client.ts';
import { isHostNetwork } from './names.ts';

/** What goes into a pod's resolv.conf. */
export interface DnsConfig {
  servers: string[];
  searches: string[];
  options: string[];
}

const MAX_SERVERS = 3;
/** How many search paths, and how long each and all of them, as resolvers know them. */
export const SEARCH_LIMITS = { paths: 32, pathLength: 253, length: 2048 };
const STUB = '127.0.0.53';
const REAL_CONFIG_OF_STUB = '/run/systemd/resolve/resolv.conf';

/**
 * Reads resolv.conf(5). A file that names only systemd-resolved's stub gives way to resolved's real list. No file: nobody
 * but the Pod itself resolves names.
 */
export async function readResolvConf(path: string): Promise<DnsConfig | undefined> {
  if (path === '') return undefined;
  const config = parseResolvConf(await readFile(path, 'utf8'));
  if (config.servers.length !== 1 || config.servers[0] !== STUB) return config;
  try {
    return parseResolvConf(await readFile(REAL_CONFIG_OF_STUB, 'utf8'));
  } catch {
    return config;
  }
}

export function parseResolvConf(text: string): DnsConfig {
  const config: DnsConfig = { servers: [], searches: [], options: [] };
  for (const line of text.split('\n')) {
    const [keyword, ...values] = line.trim().split(/\s+/);
    if (keyword === 'nameserver' && values[0]) config.servers.push(values[0]);
    // The last search line wins, as the resolver has it; "." alone searches nothing.
    if (keyword === 'search') {
      config.searches = values.map((v) => (v === '.' ? v : v.replace(/\.$/, '')));
    }
    if (keyword === 'options') config.options.push(...values);
  }
  return config;
}

export interface DnsOptions {
  /** Undefined: the node has none for its Pods. */
  node: DnsConfig | undefined;
  clusterDns: readonly string[];
  clusterDomain: string;
  nodeName: string;
}

export interface DnsWarning {
  /** Of the event. */
  readonly reason: 'DNSConfigForming' | 'MissingClusterDNS';
  readonly message: string;
}

/** The pod's resolver configuration by its dnsPolicy and dnsConfig; `warnings` tell what is not as it asks. */
export function podDns(
  pod: Pod,
  { node, clusterDns, clusterDomain }: DnsOptions,
): { config: DnsConfig; warnings: DnsWarning[] } {
  const wanted = effectivePolicy(pod);
  const isMissing = wanted === 'ClusterFirst' && clusterDns.length === 0;
  const policy = isMissing ? 'Default' : wanted;
  let config: DnsConfig = { servers: [], searches: [], options: [] };
  if (policy === 'Default') config = { ...(node ?? NOBODY) };
  if (policy === 'ClusterFirst') {
    const zone = clusterDomain;
    const own = zone === '' ? [] : [`${pod.metadata.namespace}.svc.${zone}`, `svc.${zone}`, zone];
    config = {
      servers: [...clusterDns],
      searches: unique([...own, ...(node?.searches ?? [])]),
      options: ['ndots:5'],
    };
  }
  const { warnings, ...result } = limited(withOwnConfig(config, pod));
  return { ...result, warnings: [...(isMissing ? [missing(pod)] : []), ...warnings.map(forming)] };
}

// What a resolver without any setting asks.
const NOBODY: DnsConfig = { servers: ['127.0.0.1'], searches: ['.'], options: [] };

/** In the Pod's events; what is missing on the node in the node's, too. */
export function tellDns(
  recorder: EventRecorder,
  pod: Pod,
  { warnings, nodeName: name }: { warnings: readonly DnsWarning[]; nodeName: string },
): void {
  const node = { apiVersion: 'v1', kind: 'Node', metadata: { name, uid: name } };
  for (const { reason, message } of warnings) {
    if (reason === 'MissingClusterDNS') recorder.event(node, 'Warning', reason, MISSING);
    recorder.event(pod, 'Warning', reason, message);
  }
}

const forming = (message: string): DnsWarning => ({ reason: 'DNSConfigForming', message });

function missing({ metadata: { namespace, name, uid } }: Pod): DnsWarning {
  const message = `pod: "${name}_${namespace}(${uid})". ${MISSING}`;
  return { reason: 'MissingClusterDNS', message };
}

const MISSING =
  'kubelet does not have ClusterDNS IP configured and cannot create Pod using "ClusterFirst" policy. Falling back to "Default" policy.';

function effectivePolicy(pod: Pod): 'Default' | 'ClusterFirst' | 'None' {
  const policy = pod.spec?.dnsPolicy ?? 'ClusterFirst';
  if (policy === 'None' || policy === 'Default') return policy;
  if (policy === 'ClusterFirst' && isHostNetwork(pod)) return 'Default';
  return 'ClusterFirst';
}

function withOwnConfig(config: DnsConfig, pod: Pod): DnsConfig {
  const own = pod.spec?.dnsConfig;
  if (!own) return config;
  const options = new Map(config.options.map((o) => [o.split(':')[0] ?? o, o]));
  for (const { name, value } of own.options ?? []) {
    if (name) options.set(name, value === undefined ? name : `${name}:${value}`);
  }
  return {
    servers: unique([...config.servers, ...(own.nameservers ?? [])]),
    searches: unique([...config.searches, ...(own.searches ?? [])]),
    options: [...options.values()],
  };
}

const unique = (values: readonly string[]): string[] => [...new Set(values)];

function limited(config: DnsConfig): { config: DnsConfig; warnings: string[] } {
  const warnings: string[] = [];
  const servers = config.servers.slice(0, MAX_SERVERS);
  if (servers.length < config.servers.length) {
    warnings.push(
      `Nameserver limits were exceeded, some nameservers have been omitted, the applied nameserver line is: ${servers.join(' ')}`,
    );
  }
  const { paths, pathLength, length } = SEARCH_LIMITS;
  const searches: string[] = [];
  for (const search of config.searches.slice(0, paths)) {
    // Resolvers have been seen to crash on such a path.
    if (search.length > pathLength) continue;
    if ([...searches, search].join(' ').length > length) break;
    searches.push(search);
  }
  if (searches.length < config.searches.length) {
    warnings.push(
      `Search Line limits were exceeded, some search paths have been omitted, the applied search line is: ${searches.join(' ')}`,
    );
  }
  return { config: { ...config, servers, searches }, warnings };
}
