import { readFile } from 'node:fs/promises';
import { parseYaml } from '../api/yaml.ts';
import { errorMessage } from '../util/errors.ts';
import type { ProxyMode } from './backend.ts';

/**
 * KubeProxyConfiguration (kubeproxy.config.k8s.io/v1alpha1) with its defaults filled in; times in milliseconds.
 * https://kubernetes.io/docs/reference/config-api/kube-proxy-config.v1alpha1/
 */
export interface ProxyConfiguration {
  readonly clientConnection: { readonly kubeconfig: string };
  readonly featureGates: Readonly<Record<string, boolean>>;
  readonly hostnameOverride: string;
  readonly bindAddress: string;
  readonly healthzBindAddress: string;
  readonly metricsBindAddress: string;
  readonly bindAddressHardFail: boolean;
  readonly mode: ProxyMode;
  readonly iptables: RuleSettings & { readonly localhostNodePorts: boolean };
  readonly nftables: RuleSettings;
  readonly ipvs: {
    readonly syncPeriod: number;
    readonly minSyncPeriod: number;
    readonly scheduler: string;
    readonly excludeCIDRs: readonly string[];
    readonly strictARP: boolean;
    readonly tcpTimeout: number;
    readonly tcpFinTimeout: number;
    readonly udpTimeout: number;
  };
  readonly detectLocalMode: LocalMode;
  readonly detectLocal: { readonly bridgeInterface: string; readonly interfaceNamePrefix: string };
  readonly clusterCIDR: string;
  readonly nodePortAddresses: readonly string[];
  readonly oomScoreAdj: number;
  readonly conntrack: {
    readonly maxPerCore: number;
    readonly min: number;
    readonly tcpEstablishedTimeout: number;
    readonly tcpCloseWaitTimeout: number;
    readonly tcpBeLiberal: boolean;
    readonly udpTimeout: number;
    readonly udpStreamTimeout: number;
  };
}

interface RuleSettings {
  readonly masqueradeBit: number;
  readonly masqueradeAll: boolean;
  readonly syncPeriod: number;
  readonly minSyncPeriod: number;
}

export type LocalMode = 'ClusterCIDR' | 'NodeCIDR' | 'BridgeInterface' | 'InterfaceNamePrefix';

const MODES: readonly ProxyMode[] = ['iptables', 'nftables', 'ipvs', 'userspace'];
const LOCAL_MODES: readonly LocalMode[] = [
  'ClusterCIDR',
  'NodeCIDR',
  'BridgeInterface',
  'InterfaceNamePrefix',
];

/** The schedulers of the kernel; each is a module `ip_vs_NAME`. */
const IPVS_SCHEDULERS = 'rr wrr lc wlc lblc lblcr sh dh sed nq mh fo ovf'.split(' ');

const SYNC_PERIOD_MS = 30_000;
// Upstream's default is a second. Syncs write only what changed here, so a change need not wait that long.
const MIN_SYNC_PERIOD_MS = 50;

const RULES = {
  masqueradeBit: 14,
  masqueradeAll: false,
  syncPeriod: SYNC_PERIOD_MS,
  minSyncPeriod: MIN_SYNC_PERIOD_MS,
};

export const DEFAULTS: ProxyConfiguration = {
  clientConnection: { kubeconfig: '' },
  featureGates: {},
  hostnameOverride: '',
  bindAddress: '0.0.0.0',
  healthzBindAddress: '0.0.0.0:10256',
  metricsBindAddress: '127.0.0.1:10249',
  bindAddressHardFail: false,
  mode: 'iptables',
  iptables: { ...RULES, localhostNodePorts: true },
  nftables: RULES,
  ipvs: {
    syncPeriod: SYNC_PERIOD_MS,
    minSyncPeriod: MIN_SYNC_PERIOD_MS,
    scheduler: '',
    excludeCIDRs: [],
    strictARP: false,
    tcpTimeout: 0,
    tcpFinTimeout: 0,
    udpTimeout: 0,
  },
  detectLocalMode: 'ClusterCIDR',
  detectLocal: { bridgeInterface: '', interfaceNamePrefix: '' },
  clusterCIDR: '',
  nodePortAddresses: [],
  oomScoreAdj: -999,
  conntrack: {
    maxPerCore: 32_768,
    min: 131_072,
    tcpEstablishedTimeout: 86_400_000,
    tcpCloseWaitTimeout: 3_600_000,
    tcpBeLiberal: false,
    udpTimeout: 0,
    udpStreamTimeout: 0,
  },
};

/** Fields of upstream that mean nothing here or are only for Windows; accepted so that its files work. */
const IGNORED = new Set([
  'apiVersion',
  'kind',
  'logging',
  'enableProfiling',
  'showHiddenMetricsForVersion',
  'configSyncPeriod',
  'portRange',
  'winkernel',
  'windowsRunAsService',
  'clientConnection.acceptContentTypes',
  'clientConnection.contentType',
  'clientConnection.qps',
  'clientConnection.burst',
]);

/** Reads a KubeProxyConfiguration file. Throws with every problem named, one a line. */
export async function loadProxyConfiguration(path: string): Promise<ProxyConfiguration> {
  const document: unknown = await parseYaml(await readFile(path, 'utf8'));
  try {
    return proxyConfiguration(document);
  } catch (err) {
    throw new Error(`${path}: ${errorMessage(err)}`, { cause: err });
  }
}

type Fields = Record<string, unknown>;

/** A parsed configuration document with the defaults filled in. Throws on unknown fields and wrong values. */
export function proxyConfiguration(document: unknown): ProxyConfiguration {
  if (!isFields(document)) throw new Error('A KubeProxyConfiguration is expected');
  const { apiVersion, kind } = document;
  if (apiVersion !== 'kubeproxy.config.k8s.io/v1alpha1' || kind !== 'KubeProxyConfiguration') {
    const wanted = 'kubeproxy.config.k8s.io/v1alpha1, kind KubeProxyConfiguration';
    throw new Error(
      `Unknown configuration ${String(apiVersion)}, kind ${String(kind)}: want ${wanted}`,
    );
  }
  const problems: string[] = [];
  const given = { ...document, ...(document.mode === '' ? { mode: undefined } : {}) };
  const merged = merge(DEFAULTS, given, '', problems) as ProxyConfiguration;
  problems.push(...problemsOf(merged));
  if (problems.length > 0) throw new Error(problems.join('\n'));
  return merged;
}

function merge(defaults: object, given: Fields, path: string, problems: string[]): unknown {
  const out: Fields = { ...defaults };
  for (const [name, value] of Object.entries(given)) {
    const field = path === '' ? name : `${path}.${name}`;
    if (IGNORED.has(field) || value === undefined || value === null) continue;
    if (path === 'featureGates') {
      if (typeof value !== 'boolean') problems.push(`${field}: must be true or false`);
      out[name] = value;
    } else if (!(name in defaults)) problems.push(`unknown field "${field}"`);
    else out[name] = mergeValue((defaults as Fields)[name], value, field, problems);
  }
  return out;
}

// Numbers that are no lengths of time.
const PLAIN_NUMBERS = new Set(['masqueradeBit', 'oomScoreAdj', 'maxPerCore', 'min']);

function mergeValue(known: unknown, value: unknown, field: string, problems: string[]): unknown {
  const name = field.slice(field.lastIndexOf('.') + 1);
  const wrong = (wanted: string) => {
    problems.push(`${field}: Invalid value: ${JSON.stringify(value)}: must be ${wanted}`);
    return known;
  };
  if (Array.isArray(known)) {
    const strings = Array.isArray(value) && value.every((entry) => typeof entry === 'string');
    return strings ? value : wrong('a list of strings');
  }
  if (isFields(known)) {
    return isFields(value) ? merge(known, value, field, problems) : wrong('an object');
  }
  if (typeof known === 'number' && !PLAIN_NUMBERS.has(name)) {
    const ms = typeof value === 'string' ? parseDuration(value) : undefined;
    return ms ?? wrong('a duration such as 30s');
  }
  return typeof value === typeof known ? value : wrong(`a ${typeof known}`);
}

/** What is wrong with a whole configuration, one sentence each. Pure. */
export function problemsOf(configuration: ProxyConfiguration): string[] {
  const problems: string[] = [];
  const { mode, detectLocalMode, iptables, nftables } = configuration;
  if (!MODES.includes(mode)) {
    problems.push(`mode: Unsupported value: "${mode}": supported values: ${MODES.join(', ')}`);
  }
  if (!LOCAL_MODES.includes(detectLocalMode)) {
    const known = LOCAL_MODES.join(', ');
    problems.push(
      `detectLocalMode: Unsupported value: "${detectLocalMode}": supported values: ${known}`,
    );
  }
  const { scheduler } = configuration.ipvs;
  if (scheduler !== '' && !IPVS_SCHEDULERS.includes(scheduler)) {
    const known = IPVS_SCHEDULERS.join(', ');
    problems.push(`ipvs.scheduler: Unsupported value: "${scheduler}": supported values: ${known}`);
  }
  for (const bit of [iptables.masqueradeBit, nftables.masqueradeBit]) {
    if (!Number.isInteger(bit) || bit < 0 || bit > 31) {
      problems.push(`masqueradeBit: Invalid value: ${bit}: must be within the range [0, 31]`);
    }
  }
  return problems;
}

const UNIT_MS: Record<string, number> = {
  ns: 1e-6,
  us: 1e-3,
  µs: 1e-3,
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
};

/** Milliseconds of a Go duration (`1h2m3.5s`); undefined when it is none. */
export function parseDuration(text: string): number | undefined {
  if (text === '0') return 0;
  if (!/^(\d+(\.\d+)?(ns|us|µs|ms|s|m|h))+$/.test(text)) return undefined;
  let total = 0;
  for (const [, number, unit = ''] of text.matchAll(/(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h)/g)) {
    total += Number(number) * (UNIT_MS[unit] ?? 0);
  }
  return total;
}

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
