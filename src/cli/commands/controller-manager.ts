import { createPrivateKey, randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { Command } from 'commander';
import type { Client } from '../../client/client.ts';
import { loadKubeconfig } from '../../client/kubeconfig.ts';
import type { LeaderElectionOptions } from '../../client/leader-election.ts';
import { RestClient } from '../../client/rest-client.ts';
import { serviceAccountToken } from '../../client/service-account-token.ts';
import { ManagerHealth } from '../../controllers/health.ts';
import { ControllerManager, type ControllerManagerOptions } from '../../controllers/manager.ts';
import { managerMetrics } from '../../controllers/metrics.ts';
import { CONTROLLERS, selectControllers } from '../../controllers/registry.ts';
import { serveComponent } from '../../http/component-server.ts';
import { type FollowedFile, followedFile } from '../../http/follow-files.ts';
import { TokenSigner } from '../../pki/service-account-tokens.ts';
import { realClock } from '../../util/clock.ts';
import { parseDuration } from '../../util/duration.ts';
import { errorMessage } from '../../util/errors.ts';
import { keepHeapSmall } from '../../util/heap-growth.ts';
import { runAll, shutdownSignal } from '../../util/lifecycle.ts';
import { createLogger } from '../../util/log.ts';
import { Metrics } from '../../util/metrics.ts';
import { steadyClock } from '../../util/steady-clock.ts';
import {
  pathAuthorizer,
  type ServingFlags,
  servingFlags,
  servingOptions,
} from '../component-access.ts';
import { fixedFlag } from '../fixed-flags.ts';

interface Flags extends ServingFlags {
  readonly kubeconfig: string;
  readonly leaderElect: string | boolean;
  readonly controllers: string;
  readonly useServiceAccountCredentials: string | boolean;
  readonly rootCaFile?: string;
  readonly serviceAccountPrivateKeyFile?: string;
  readonly legacyServiceAccountTokenCleanUpPeriod: string;
  readonly clusterSigningCertFile?: string;
  readonly clusterSigningKeyFile?: string;
  readonly clusterSigningDuration: string;
  readonly clusterCidr: string;
  readonly allocateNodeCidrs: string | boolean;
  readonly nodeCidrMaskSizeIpv4: string;
  readonly nodeCidrMaskSizeIpv6: string;
  readonly serviceClusterIpRange: string;
  readonly nodeMonitorGracePeriod: string;
  readonly nodeMonitorPeriod: string;
  readonly nodeStartupGracePeriod: string;
  readonly nodeEvictionRate: string;
  readonly secondaryNodeEvictionRate: string;
  readonly unhealthyZoneThreshold: string;
  readonly largeClusterSizeThreshold: string;
  readonly terminatedPodGcThreshold: string;
  readonly resourceQuotaSyncPeriod: string;
  readonly horizontalPodAutoscalerSyncPeriod: string;
  readonly horizontalPodAutoscalerDownscaleStabilization: string;
  readonly horizontalPodAutoscalerTolerance: string;
  readonly horizontalPodAutoscalerCpuInitializationPeriod: string;
  readonly horizontalPodAutoscalerInitialReadinessDelay: string;
  readonly leaderElectLeaseDuration: string;
  readonly leaderElectRenewDeadline: string;
  readonly leaderElectRetryPeriod: string;
  readonly leaderElectResourceName: string;
  readonly leaderElectResourceNamespace: string;
  readonly endpointUpdatesBatchPeriod: string;
  readonly endpointsliceUpdatesBatchPeriod: string;
  readonly mirroringEndpointsliceUpdatesBatchPeriod: string;
  readonly maxEndpointsPerSlice: string;
  readonly mirroringMaxEndpointsPerSubset: string;
  readonly localPathDir: string;
  readonly localPathHelperImage: string;
  readonly v: string;
}

/** In every cluster that `deploy/` sets up. */
const HELPER_IMAGE = 'localhost/k8ts/busybox:1';

export function command(): Command {
  const command = new Command('controller-manager')
    .description('Brings the state of the cluster to the state that its objects ask for')
    .requiredOption('--kubeconfig <file>', 'how to reach the API server')
    .option('--leader-elect [bool]', 'work only while holding the lease', 'true')
    .option('--controllers <list>', "'*': all that are on by default, 'foo', '-foo': not foo", '*')
    .option('--use-service-account-credentials [bool]', 'a service account per controller', 'false')
    .option('--root-ca-file <file>', 'the authority that every namespace gets in kube-root-ca.crt')
    .option('--cluster-signing-cert-file <file>', 'the authority that signs certificate requests')
    .option('--cluster-signing-key-file <file>', 'its key')
    .option('--cluster-signing-duration <duration>', 'how long certificates are good for', '8760h')
    .option('--service-account-private-key-file <file>', 'signs tokens of token Secrets')
    .option('--legacy-service-account-token-clean-up-period <duration>', 'unused', '8760h');
  for (const { workersFlag, workers } of Object.values(CONTROLLERS)) {
    if (workersFlag)
      command.option(`--${workersFlag} <count>`, 'work at the same time', String(workers));
  }
  for (const add of [leaderFlags, autoscalerFlags, networkFlags, endpointFlags]) add(command);
  return nodeFlags(servingFlags(command, 10_257))
    .option('--terminated-pod-gc-threshold <count>', 'ended Pods that are kept', '12500')
    .option('--resource-quota-sync-period <duration>', 'until a foreign status is undone', '5m')
    .addOption(fixedFlag('--cluster-name', 'kubernetes', 'how cloud providers name the cluster'))
    .option(
      '--requestheader-client-ca-file <file>',
      'authorities of front proxies; none of them is let in here, whatever it says',
    )
    .option('--local-path-dir <dir>', 'where node-local volumes are', '/var/lib/k8ts/volumes')
    .option('--local-path-helper-image <image>', 'makes and removes them', HELPER_IMAGE)
    .option('-v, --v <level>', 'log verbosity', '2')
    .action(run);
}

function leaderFlags(command: Command): Command {
  return command
    .option('--leader-elect-lease-duration <duration>', 'others wait so long for it', '15s')
    .option('--leader-elect-renew-deadline <duration>', 'when a leader gives up', '10s')
    .option('--leader-elect-retry-period <duration>', 'between two tries', '2s')
    .option('--leader-elect-resource-name <name>', 'of the lease', 'kube-controller-manager')
    .option('--leader-elect-resource-namespace <name>', 'of the lease', 'kube-system');
}

function endpointFlags(command: Command): Command {
  return command
    .option('--endpoint-updates-batch-period <duration>', 'changes are gathered so long', '0s')
    .option('--endpointslice-updates-batch-period <duration>', 'the same for slices', '0s')
    .option('--mirroring-endpointslice-updates-batch-period <duration>', 'for mirrors', '0s')
    .option('--max-endpoints-per-slice <count>', 'more go into another slice', '100')
    .option('--mirroring-max-endpoints-per-subset <count>', 'more are not mirrored', '1000');
}

function autoscalerFlags(command: Command): Command {
  const flag = (name: string) => `--horizontal-pod-autoscaler-${name}`;
  return command
    .option(`${flag('sync-period')} <duration>`, 'between two looks at the metrics', '15s')
    .option(`${flag('downscale-stabilization')} <duration>`, 'wait before shrinking', '5m')
    .option(`${flag('tolerance')} <number>`, 'ignored part of the target', '0.1')
    .option(`${flag('cpu-initialization-period')} <duration>`, 'CPU may be high at start', '5m')
    .option(`${flag('initial-readiness-delay')} <duration>`, 'a start is not over yet', '30s');
}

function networkFlags(command: Command): Command {
  return command
    .option('--cluster-cidr <cidrs>', 'networks of the Pods, one per IP family', '')
    .option('--allocate-node-cidrs [bool]', 'give each node a part of the cluster CIDR', 'false')
    .option('--node-cidr-mask-size-ipv4 <bits>', 'size of that part', '24')
    .option('--node-cidr-mask-size-ipv6 <bits>', 'size of that part', '64')
    .option('--service-cluster-ip-range <cidrs>', 'networks that no node may get', '');
}

function nodeFlags(command: Command): Command {
  return command
    .option('--node-monitor-period <duration>', 'how often node states are looked at', '5s')
    .option('--node-monitor-grace-period <duration>', 'silence until a node is unknown', '50s')
    .option('--node-startup-grace-period <duration>', 'the same for a node that starts', '1m')
    .option('--node-eviction-rate <number>', 'nodes per second that are evicted from', '0.1')
    .option('--secondary-node-eviction-rate <number>', 'the same in an unhealthy zone', '0.01')
    .option('--unhealthy-zone-threshold <number>', 'part of its nodes not ready', '0.55')
    .option('--large-cluster-size-threshold <count>', 'nodes of a large zone', '50');
}

async function run(flags: Flags): Promise<void> {
  keepHeapSmall();
  const log = createLogger('controller-manager', Number(flags.v));
  const rootCa = flags.rootCaFile ? await followedFile(flags.rootCaFile) : undefined;
  const options = await managerOptions(flags, rootCa);
  const onError = (err: unknown) =>
    log.error({ err: errorMessage(err) }, 'Could not use a changed file');
  const signal = shutdownSignal(log);
  const clients = await openClients(flags);
  const metrics = new Metrics();
  const health = new ManagerHealth();
  const clocks = { clock: realClock, steady: steadyClock };
  const deps = { ...clients, ...clocks, log, metrics: managerMetrics(metrics), health };
  const answers = {
    checks: () => [{ name: 'ping', check: () => {} }, ...health.checks],
    metrics: () => metrics.render(),
    authorize: pathAuthorizer(flags, clients.client),
  };
  try {
    await runAll(signal, [
      serveComponent(servingOptions(flags, { clock: realClock, log }), answers, signal),
      new ControllerManager(options, deps).run(signal),
      ...(rootCa ? [rootCa.follow(onError, signal)] : []),
    ]);
  } finally {
    clients.close();
  }
}

/** One client for reading and for the lease, and one per controller where each is to have an account of its own. */
async function openClients(flags: Flags): Promise<{
  client: Client;
  clientFor: (account: string) => Client;
  close: () => void;
}> {
  const access = await loadKubeconfig(flags.kubeconfig);
  const agent = (name: string) => ({ userAgent: `${name}/v1.36.2` });
  const client = new RestClient(access, agent('kube-controller-manager'));
  const own = new Map<string, RestClient>();
  const separate = isTrue(flags.useServiceAccountCredentials);
  const { certificate: _certificate, key: _key, ...rest } = access;
  const clientFor = (account: string): Client => {
    const known = own.get(account);
    if (known || !separate) return known ?? client;
    const deps = { client, clock: realClock };
    const provide = serviceAccountToken(deps, { namespace: 'kube-system', name: account });
    const made = new RestClient({ ...rest, token: { provide } }, agent('kube-controller-manager'));
    own.set(account, made);
    return made;
  };
  const close = () => {
    for (const one of [client, ...own.values()]) one.close();
  };
  return { client, clientFor, close };
}

async function managerOptions(
  flags: Flags,
  rootCa: FollowedFile | undefined,
): Promise<ControllerManagerOptions> {
  return {
    controllers: selectControllers(listOf(flags.controllers)),
    workers: workersOf(flags),
    leaderElection: isTrue(flags.leaderElect) ? leaderElection(flags) : undefined,
    ...(rootCa ? { rootCa } : {}),
    ...clusterSigning(flags),
    ...(flags.serviceAccountPrivateKeyFile
      ? { signServiceAccountToken: await tokenSigner(flags.serviceAccountPrivateKeyFile) }
      : {}),
    legacyTokenCleanUpPeriodMs: parseDuration(flags.legacyServiceAccountTokenCleanUpPeriod),
    clusterCidrs: listOf(flags.clusterCidr),
    allocateNodeCidrs: isTrue(flags.allocateNodeCidrs),
    nodeCidrMaskSizeIpv4: Number(flags.nodeCidrMaskSizeIpv4),
    nodeCidrMaskSizeIpv6: Number(flags.nodeCidrMaskSizeIpv6),
    serviceCidrs: listOf(flags.serviceClusterIpRange),
    nodeMonitorGracePeriodMs: parseDuration(flags.nodeMonitorGracePeriod),
    nodeMonitorPeriodMs: parseDuration(flags.nodeMonitorPeriod),
    nodeStartupGracePeriodMs: parseDuration(flags.nodeStartupGracePeriod),
    nodeEvictionRate: Number(flags.nodeEvictionRate),
    secondaryNodeEvictionRate: Number(flags.secondaryNodeEvictionRate),
    unhealthyZoneThreshold: Number(flags.unhealthyZoneThreshold),
    largeClusterSizeThreshold: Number(flags.largeClusterSizeThreshold),
    terminatedPodGcThreshold: Number(flags.terminatedPodGcThreshold),
    resourceQuotaSyncPeriodMs: parseDuration(flags.resourceQuotaSyncPeriod),
    hpaSyncPeriodMs: parseDuration(flags.horizontalPodAutoscalerSyncPeriod),
    hpaDownscaleStabilizationMs: parseDuration(flags.horizontalPodAutoscalerDownscaleStabilization),
    hpaTolerance: Number(flags.horizontalPodAutoscalerTolerance),
    hpaCpuInitializationMs: parseDuration(flags.horizontalPodAutoscalerCpuInitializationPeriod),
    hpaInitialReadinessMs: parseDuration(flags.horizontalPodAutoscalerInitialReadinessDelay),
    endpointsBatchMs: parseDuration(flags.endpointUpdatesBatchPeriod),
    endpointSlicesBatchMs: parseDuration(flags.endpointsliceUpdatesBatchPeriod),
    mirroredSlicesBatchMs: parseDuration(flags.mirroringEndpointsliceUpdatesBatchPeriod),
    maxEndpointsPerSlice: countBetween(flags.maxEndpointsPerSlice, 1, 1000),
    maxMirroredPerSubset: countBetween(flags.mirroringMaxEndpointsPerSubset, 1, 1000),
    localPath: { directory: flags.localPathDir, image: flags.localPathHelperImage },
  };
}

function leaderElection(flags: Flags): LeaderElectionOptions {
  const [leaseMs, renewDeadlineMs, retryMs] = [
    parseDuration(flags.leaderElectLeaseDuration),
    parseDuration(flags.leaderElectRenewDeadline),
    parseDuration(flags.leaderElectRetryPeriod),
  ];
  if (!(leaseMs > renewDeadlineMs && renewDeadlineMs > retryMs && retryMs > 0)) {
    throw new RangeError(
      '--leader-elect-lease-duration must be longer than --leader-elect-renew-deadline, and that longer than --leader-elect-retry-period',
    );
  }
  const name = flags.leaderElectResourceName;
  const lease = { namespace: flags.leaderElectResourceNamespace, name };
  return { lease, identity: `${hostname()}_${randomUUID()}`, leaseMs, renewDeadlineMs, retryMs };
}

function countBetween(text: string, least: number, most: number): number {
  const count = Number(text);
  if (Number.isInteger(count) && count >= least && count <= most) return count;
  throw new RangeError(`${text} must be a whole number from ${least} to ${most}`);
}

function clusterSigning(flags: Flags): Pick<ControllerManagerOptions, 'clusterSigning'> {
  const { clusterSigningCertFile: certificateFile, clusterSigningKeyFile: keyFile } = flags;
  if (certificateFile === undefined || keyFile === undefined) return {};
  const durationMs = parseDuration(flags.clusterSigningDuration);
  return { clusterSigning: { certificateFile, keyFile, durationMs } };
}

async function tokenSigner(file: string): Promise<(claims: object) => Promise<string>> {
  const signer = new TokenSigner(createPrivateKey(await readFile(file)));
  return (claims) => signer.sign({ ...claims });
}

/** `--concurrent-gc-syncs` and the like, by controller. */
function workersOf(flags: Flags): Record<string, number> {
  const values = flags as unknown as Readonly<Record<string, string>>;
  const found = Object.entries(CONTROLLERS).map(([name, { workersFlag = '' }]) => {
    const field = workersFlag.replace(/-(\w)/g, (_, letter: string) => letter.toUpperCase());
    const count = values[field] === undefined ? undefined : Number(values[field]);
    if (count !== undefined && !(Number.isInteger(count) && count > 0)) {
      throw new RangeError(`--${workersFlag} must be a whole number above 0`);
    }
    return [name, count] as const;
  });
  return Object.fromEntries(found.filter(([, count]) => count !== undefined)) as Record<
    string,
    number
  >;
}

function listOf(text: string): string[] {
  return text
    .split(',')
    .map((item) => item.trim())
    .filter((item) => item !== '');
}

function isTrue(value: string | boolean): boolean {
  return String(value) === 'true';
}
