import { hostname } from 'node:os';
import { Command, InvalidArgumentError, Option } from 'commander';
import {
  ENDPOINT_SLICES,
  NAMESPACES,
  NETWORK_POLICIES,
  NODES,
  PODS,
  SERVICES,
} from '../../api/resource-types.ts';
import type { Client } from '../../client/client.ts';
import { EventWriter, subjectOf } from '../../client/events.ts';
import { createInformer } from '../../client/informer.ts';
import { createClient } from '../../client/rest-client.ts';
import { conntrack } from '../../host/conntrack.ts';
import { isMissingProgram } from '../../host/exec.ts';
import { sysctl } from '../../host/sysctl.ts';
import type { ProxyBackend, ProxyMode } from '../../proxy/backend.ts';
import { type BackendDeps, ModeUnavailableError, openBackend } from '../../proxy/backends.ts';
import {
  DEFAULTS,
  type LocalMode,
  loadProxyConfiguration,
  type ProxyConfiguration,
  parseDuration,
  problemsOf,
} from '../../proxy/config.ts';
import {
  healthListener,
  metricsListener,
  parseAddress,
  serveHttp,
} from '../../proxy/http-endpoints.ts';
import { removeEverything, removeLeftovers } from '../../proxy/leftovers.ts';
import { proxyMetrics } from '../../proxy/metrics.ts';
import type { IpFamily } from '../../proxy/model.ts';
import {
  NetworkPolicies,
  type NetworkPoliciesOptions,
  openPolicyBackends,
} from '../../proxy/network-policies.ts';
import { setSysctls } from '../../proxy/node-sysctls.ts';
import { ServiceProxy } from '../../proxy/proxy.ts';
import { ProxyHealth } from '../../proxy/proxy-health.ts';
import { ServiceHealthServer } from '../../proxy/service-health.ts';
import { slimService, slimSlice } from '../../proxy/slim.ts';
import { realClock } from '../../util/clock.ts';
import { errorMessage } from '../../util/errors.ts';
import { aborted, runAll, shutdownSignal } from '../../util/lifecycle.ts';
import { createLogger, type Logger } from '../../util/log.ts';

interface Options {
  kubeconfig?: string;
  config?: string;
  proxyMode?: ProxyMode;
  clusterCidr?: string;
  hostnameOverride?: string;
  cleanup?: boolean;
  healthzBindAddress?: string;
  metricsBindAddress?: string;
  masqueradeAll?: boolean;
  nodeportAddresses?: string[];
  detectLocalMode?: LocalMode;
  podBridgeInterface?: string;
  podInterfaceNamePrefix?: string;
  ipvsScheduler?: string;
  ipvsStrictArp?: boolean;
  iptablesSyncPeriod?: number;
  iptablesMinSyncPeriod?: number;
  iptablesLocalhostNodeports?: boolean;
  featureGates?: Record<string, boolean>;
  networkPolicy: boolean;
  v: number;
}

export function command(): Command {
  return new Command('proxy')
    .description('Routes the traffic of Services on this node (kube-proxy)')
    .option('--kubeconfig <file>', 'how to reach the API server')
    .option('--config <file>', 'a KubeProxyConfiguration; flags that are given as well win')
    .addOption(
      new Option('--proxy-mode <mode>', 'how Services are routed (default iptables)').choices([
        'iptables',
        'nftables',
        'ipvs',
        'userspace',
      ]),
    )
    .option('--cluster-cidr <cidrs>', 'addresses of Pods; what comes from elsewhere is masqueraded')
    .option('--hostname-override <name>', "this node's name (default: the host name)")
    .option('--cleanup', 'remove every rule of a proxy from the kernel and exit')
    .option('--healthz-bind-address <address>', 'for /healthz and /livez (default 0.0.0.0:10256)')
    .option(
      '--metrics-bind-address <address>',
      'for /metrics and the like (default 127.0.0.1:10249)',
    )
    .option('--masquerade-all', 'masquerade all traffic to Services')
    .option('--nodeport-addresses <cidrs>', 'where node ports answer; or "primary"', list)
    .addOption(
      new Option('--detect-local-mode <mode>', 'how traffic of local Pods is recognised').choices([
        'ClusterCIDR',
        'NodeCIDR',
        'BridgeInterface',
        'InterfaceNamePrefix',
      ]),
    )
    .option('--pod-bridge-interface <name>', 'the bridge of --detect-local-mode BridgeInterface')
    .option('--pod-interface-name-prefix <prefix>', 'for --detect-local-mode InterfaceNamePrefix')
    .option('--ipvs-scheduler <name>', 'how IPVS spreads connections (default rr)')
    .option('--ipvs-strict-arp', 'answer ARP only for addresses of the asked device')
    .option('--iptables-sync-period <duration>', 'how often rules are checked', duration)
    .option('--iptables-min-sync-period <duration>', 'least time between two syncs', duration)
    .option('--no-iptables-localhost-nodeports', 'node ports do not answer on 127.0.0.1')
    .option('--feature-gates <list>', 'NAME=true|false, …', gates)
    .option(
      '--network-policy <boolean>',
      'enforce NetworkPolicies; false where a CNI plugin does that',
      boolean,
      true,
    )
    .option('-v <level>', 'how much is logged', Number, 2)
    .action(async (_options: Options, self: Command) => {
      const given = self.opts<Options>();
      if (self.getOptionValueSource('iptablesLocalhostNodeports') === 'default') {
        delete given.iptablesLocalhostNodeports;
      }
      await runProxy(given);
    });
}

function list(text: string): string[] {
  return text.split(',').map((entry) => entry.trim());
}

function duration(text: string): number {
  const ms = parseDuration(text);
  if (ms === undefined) throw new InvalidArgumentError('A duration such as 30s is expected');
  return ms;
}

function boolean(text: string): boolean {
  if (text !== 'true' && text !== 'false') throw new InvalidArgumentError('Want true or false');
  return text === 'true';
}

function gates(text: string): Record<string, boolean> {
  return Object.fromEntries(
    list(text).map((entry) => {
      const [name = '', value = ''] = entry.split('=');
      return [name, boolean(value)];
    }),
  );
}

async function configurationOf(options: Options): Promise<ProxyConfiguration> {
  const base = options.config ? await loadProxyConfiguration(options.config) : DEFAULTS;
  const rules = {
    masqueradeAll: options.masqueradeAll,
    syncPeriod: options.iptablesSyncPeriod,
    minSyncPeriod: options.iptablesMinSyncPeriod,
  };
  const configuration = overlay(base, {
    clientConnection: overlay(base.clientConnection, { kubeconfig: options.kubeconfig }),
    featureGates: { ...base.featureGates, ...options.featureGates },
    hostnameOverride: options.hostnameOverride,
    mode: options.proxyMode,
    clusterCIDR: options.clusterCidr,
    healthzBindAddress: options.healthzBindAddress,
    metricsBindAddress: options.metricsBindAddress,
    nodePortAddresses: options.nodeportAddresses,
    detectLocalMode: options.detectLocalMode,
    detectLocal: overlay(base.detectLocal, {
      bridgeInterface: options.podBridgeInterface,
      interfaceNamePrefix: options.podInterfaceNamePrefix,
    }),
    ipvs: overlay(base.ipvs, {
      scheduler: options.ipvsScheduler,
      strictARP: options.ipvsStrictArp,
    }),
    iptables: overlay(base.iptables, {
      ...rules,
      localhostNodePorts: options.iptablesLocalhostNodeports,
    }),
    nftables: overlay(base.nftables, rules),
  });
  const problems = problemsOf(configuration);
  if (problems.length > 0) throw new Error(problems.join('\n'));
  return configuration;
}

/** `base` with what is given in its place. */
function overlay<T extends object>(base: T, given: { [K in keyof T]?: T[K] | undefined }): T {
  const present = Object.entries(given).filter(([, value]) => value !== undefined);
  return { ...base, ...Object.fromEntries(present) };
}

/** The proxy of this node, from options to the end of its life. */
async function runProxy(options: Options): Promise<void> {
  const log = createLogger('kube-proxy', options.v);
  const signal = shutdownSignal(log);
  const asked = await configurationOf(options);
  if (options.cleanup) return await cleanup(asked, log, signal);
  const nodeName = asked.hostnameOverride || hostname().toLowerCase();
  const { kubeconfig } = asked.clientConnection;
  const client = await createClient(kubeconfig, { userAgent: 'kube-proxy' });
  const informers = openInformers(client, nodeName, log);
  const node = () => informers.nodes.get({ namespace: '', name: nodeName });
  const metrics = proxyMetrics();
  const events = new EventWriter(
    { client, log, clock: realClock },
    { component: 'kube-proxy', host: nodeName },
  );
  const tell = (type: 'Normal' | 'Warning', reason: string, message: string) =>
    events.event(subjectOf(NODES, { namespace: '', name: nodeName }), type, reason, message);
  const { configuration, backends } = await openUsableBackends(asked, { node, log }, (why) =>
    tell('Warning', 'ProxyModeUnavailable', why),
  );
  const { syncPeriod, minSyncPeriod } = periodsOf(configuration);
  const health = new ProxyHealth(realClock, { timeoutMs: 2 * syncPeriod, node });
  await removeLeftovers(configuration, { node, log }, signal);
  await setSysctls(configuration, sysctl, log);
  const serviceHealth = new ServiceHealthServer({ log, healthy: () => health.livez().healthy });
  const proxy = new ServiceProxy(
    { ...informers, backends, conntrack, health, serviceHealth, metrics, clock: realClock, log },
    {
      nodeName,
      allowExternalIPs: configuration.featureGates.AllowServiceExternalIPs ?? false,
      minSyncPeriodMs: minSyncPeriod,
      syncPeriodMs: syncPeriod,
    },
  );
  const policies = options.networkPolicy
    ? await openNetworkPolicies(client, configuration, { nodeName, syncPeriodMs: syncPeriod }, log)
    : undefined;
  tell('Normal', 'Starting', '');
  log.info({ mode: configuration.mode, node: nodeName }, 'Starting kube-proxy');
  const { mode, healthzBindAddress, metricsBindAddress } = configuration;
  const http = { configuration, log };
  const facts = { mode, configuration, metrics };
  await runAll(signal, [
    proxy.run(signal),
    events.run(signal),
    ...(policies ? [policies.run(signal)] : []),
    removePolicies(policies && configuration.mode, log, signal).catch((err: unknown) => {
      if (!signal.aborted) log.error({ err: errorMessage(err) }, 'Old policies are still in force');
    }),
    serveUntil(healthListener(health, metrics), healthzBindAddress, http, signal),
    serveUntil(metricsListener(facts), metricsBindAddress, http, signal),
  ]);
}

/** Objects of a first list that are held in full at a time. */
const PAGE_SIZE = 500;

function openInformers(client: Client, nodeName: string, log: Logger) {
  const notForeign = '!service.kubernetes.io/service-proxy-name';
  const notHeadless = `!service.kubernetes.io/headless,${notForeign}`;
  const names = new Map<string, string>();
  const inPages = { log, pageSize: PAGE_SIZE };
  return {
    services: createInformer(
      client,
      SERVICES,
      { labelSelector: notForeign },
      { ...inPages, transform: slimService },
    ),
    endpointSlices: createInformer(
      client,
      ENDPOINT_SLICES,
      { labelSelector: notHeadless },
      { ...inPages, transform: (slice) => slimSlice(slice, names) },
    ),
    nodes: createInformer(client, NODES, { fieldSelector: `metadata.name=${nodeName}` }, { log }),
  };
}

async function openNetworkPolicies(
  client: Client,
  { mode }: ProxyConfiguration,
  options: NetworkPoliciesOptions,
  log: Logger,
): Promise<NetworkPolicies> {
  const deps = {
    policies: createInformer(client, NETWORK_POLICIES, {}, { log }),
    pods: createInformer(client, PODS, {}, { log }),
    namespaces: createInformer(client, NAMESPACES, {}, { log }),
    backends: await openPolicyBackends(mode, log),
    clock: realClock,
    log,
  };
  return new NetworkPolicies(deps, options);
}

function periodsOf(configuration: ProxyConfiguration) {
  const { mode, nftables, ipvs, iptables } = configuration;
  if (mode === 'nftables') return nftables;
  return mode === 'ipvs' ? ipvs : iptables;
}

/** A port that is taken ends the proxy only with bindAddressHardFail; routing matters more than being asked. */
async function serveUntil(
  listener: Parameters<typeof serveHttp>[0],
  address: string,
  { configuration, log }: { configuration: ProxyConfiguration; log: Logger },
  signal: AbortSignal,
): Promise<void> {
  if (address === '') return await aborted(signal);
  try {
    await serveHttp(listener, parseAddress(address), signal);
  } catch (err) {
    if (configuration.bindAddressHardFail) throw err;
    log.error({ address, err: errorMessage(err) }, 'Could not listen');
    await aborted(signal);
  }
}

const FAMILIES: readonly IpFamily[] = [4, 6];

/** The backends that were asked for; those of iptables where this machine lacks what IPVS needs, as upstream does. */
async function openUsableBackends(
  configuration: ProxyConfiguration,
  deps: BackendDeps,
  tell: (why: string) => void,
): Promise<{ configuration: ProxyConfiguration; backends: ProxyBackend[] }> {
  try {
    return { configuration, backends: await openBackends(configuration, deps) };
  } catch (err) {
    // nftables is asked for by people who want nothing else.
    if (!(err instanceof ModeUnavailableError) || configuration.mode !== 'ipvs') throw err;
    const why = `${err.message}; going on in mode iptables`;
    deps.log.error({ mode: configuration.mode }, why);
    tell(why);
    return await openUsableBackends({ ...configuration, mode: 'iptables' }, deps, tell);
  }
}

async function openBackends(
  configuration: ProxyConfiguration,
  deps: BackendDeps,
): Promise<ProxyBackend[]> {
  const backends: ProxyBackend[] = [];
  for (const family of FAMILIES) {
    try {
      backends.push(await openBackend(configuration.mode, family, configuration, deps));
    } catch (err) {
      if (family === 4) throw err;
      deps.log.info({ err: errorMessage(err) }, 'No IPv6 rules on this machine: IPv4 only');
    }
  }
  return backends;
}

async function cleanup(
  configuration: ProxyConfiguration,
  log: Logger,
  signal: AbortSignal,
): Promise<void> {
  await removeEverything(configuration, { node: () => undefined, log }, signal);
  await removePolicies(undefined, log, signal);
}

/** Removes rules of policies from the kernel, but for those in the way of a mode. Nobody would keep them true any more. */
async function removePolicies(
  used: ProxyMode | undefined,
  log: Logger,
  signal: AbortSignal,
): Promise<void> {
  const kept = used && (used === 'nftables' ? 'nftables' : 'iptables');
  for (const mode of ['iptables', 'nftables'] as const) {
    if (mode === kept) continue;
    try {
      for (const policies of await openPolicyBackends(mode, log)) await policies.cleanup(signal);
    } catch (err) {
      // Where the program of a mode is missing, that mode cannot have left rules.
      if (!isMissingProgram(err)) throw err;
      log.info({ mode, err: errorMessage(err) }, 'Nothing to clean up');
    }
  }
}
