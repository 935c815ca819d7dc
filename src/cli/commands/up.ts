import { accessSync } from 'node:fs';
import { resolve } from 'node:path';
import { Command, Option } from 'commander';
import { createClient } from '../../client/rest-client.ts';
import {
  assertAsJoined,
  type Choices,
  chosenNow,
  earlierChoices,
  type Said,
} from '../../cluster/choices.ts';
import { runJoined, startJoined } from '../../cluster/join.ts';
import { GATEWAY } from '../../cluster/local-nodes.ts';
import { membershipOf } from '../../cluster/membership.ts';
import { pathsUnder } from '../../cluster/paths.ts';
import { nodeAddress, settingsFor } from '../../cluster/prepare.ts';
import { type ClusterSettings, DEFAULT_SETTINGS } from '../../cluster/settings.ts';
import { assertUnitFits, handOver, startUnit } from '../../cluster/unit.ts';
import { detach, up, upDetached } from '../../cluster/up.ts';
import { writesToJournal } from '../../host/systemd.ts';
import { realClock } from '../../util/clock.ts';
import { shutdownSignal } from '../../util/lifecycle.ts';
import { createLogger } from '../../util/log.ts';
import { progressWriter, rootOption, selfCommand } from '../options.ts';

interface Options {
  root: string;
  detach?: boolean;
  systemd?: boolean;
  nodeName?: string;
  nodeIp?: string;
  nodes?: number;
  port?: number;
  extraNames?: string[];
  auditPolicyFile?: string;
  disable?: string[];
  dns?: boolean;
  etcd?: 'none' | 'stacked';
  etcdServers?: string;
  etcdCafile?: string;
  etcdCertfile?: string;
  etcdKeyfile?: string;
  staticPods?: true;
  controlPlaneEndpoint?: string;
  network?: ClusterSettings['network'];
  v?: number;
}

/** `k8ts up`: a control plane and a node on this machine, kept running; where the machine has joined another's cluster, that node. */
export function command(): Command {
  return storeOptions(new Command())
    .description(
      'Start a cluster on this machine and keep it running. Pods outlive this command. What was chosen once counts at the next start too, until something else is chosen: for lists and files, none.',
    )
    .addOption(rootOption())
    .option('-d, --detach', 'return when the node is Ready, and go on in the background')
    .option('--systemd', 'the same as a service of systemd, which starts with the machine')
    .option('--node-name <name>', 'name of the node (default: the host name)')
    .option('--node-ip <address>', 'address of the node (default: that of the default route)')
    .option('--nodes <count>', 'nodes on this machine, each in a network of its own (1)', Number)
    .option('--port <port>', `port of the API server (${DEFAULT_SETTINGS.port})`, Number)
    .option('--extra-names <names...>', "more names in the API server's certificate")
    .option('--audit-policy-file <file>', 'what is recorded of requests (audit.k8s.io Policy)')
    .option(
      '--disable <names...>',
      'what to leave out: dns, kube-proxy, metrics-server, network-policy, service-lb',
    )
    .option('--dns', 'have cluster DNS, though it was left out before')
    .option('--no-dns', 'leave cluster DNS out; the same as --disable dns')
    .option('--static-pods', 'run the control plane in Pods of the kubelet (with --etcd stacked)')
    .addOption(
      new Option(
        '--network <how>',
        'how Pods reach those of other nodes: routes (nodes share a link), a tunnel, or a CNI plugin of your own',
      ).choices(['host-gw', 'vxlan', 'none']),
    )
    .option(
      '--control-plane-endpoint <host:port>',
      'a balancer before the API servers (k8ts lb config)',
    )
    .option('-v <level>', `verbosity of the components (${DEFAULT_SETTINGS.verbosity})`, Number)
    .action(run);
}

function storeOptions(command: Command): Command {
  return command
    .addOption(
      new Option(
        '--etcd <how>',
        'none: the store is inside of the API server; stacked: a member of etcd beside it, for more control planes',
      ).choices(['none', 'stacked']),
    )
    .option('--etcd-servers <urls>', 'an etcd cluster of your own')
    .option('--etcd-cafile <file>', 'authorities of its certificates')
    .option('--etcd-certfile <file>', 'client certificate towards it')
    .option('--etcd-keyfile <file>', 'its key');
}

async function run(options: Options): Promise<void> {
  const paths = pathsUnder(options.root);
  const before = earlierChoices(paths);
  const verbosity = options.v ?? before?.verbosity ?? DEFAULT_SETTINGS.verbosity;
  const log = createLogger('supervisor', verbosity);
  const deps = {
    clock: realClock,
    log,
    self: selfCommand(),
    connect: (kubeconfig: string) => createClient(kubeconfig),
    journal: writesToJournal(),
    launch: options.systemd ? startUnit : detach,
    progress: progressWriter(),
  };
  const member = membershipOf(paths);
  if (member) assertAsJoined(saidIn(options), member.settings);
  const joined = member !== undefined && !member.controlPlane;
  if (options.systemd) {
    assertUnitFits(paths);
    await handOver(paths, deps.clock);
  }
  const inBackground = options.detach || options.systemd;
  if (joined && inBackground) {
    await startJoined(paths, lastingOptions(process.argv.slice(2)), deps);
    process.exit(0);
  }
  if (joined) return runJoined(paths, deps, shutdownSignal(log));
  const settings = member?.controlPlane
    ? { ...member.settings, verbosity: options.v ?? member.settings.verbosity }
    : settingsOf(options, before);
  if (inBackground) {
    await upDetached(paths, settings, lastingOptions(process.argv.slice(2)), deps);
    process.exit(0); // Do not wait for the cluster that was just started.
  }
  await up(paths, settings, deps, shutdownSignal(log));
}

function settingsOf(options: Options, before: Choices | undefined): ClusterSettings {
  const chosen = chosenNow(saidIn(options), before);
  const { nodes = 1, extraNames = [] } = chosen;
  if (nodes === 1) return { ...settingsFor(chosen), chosen };
  // All nodes must share a link, so the first is known by its address on theirs; the usual one stays good too.
  const outside = chosen.nodeIp ?? nodeAddress();
  const names = outside === undefined ? extraNames : [...extraNames, outside];
  return { ...settingsFor({ ...chosen, nodeIp: GATEWAY, extraNames: names }), chosen };
}

function saidIn(options: Options): Said {
  const { nodeName, nodeIp, nodes, port, network, extraNames, dns, staticPods } = options;
  const { etcdServers: servers, etcdCafile, etcdCertfile, etcdKeyfile } = options;
  const own = { none: 'lmdb', stacked: 'stacked' } as const;
  const external = { caFile: etcdCafile, certFile: etcdCertfile, keyFile: etcdKeyfile };
  return {
    ...{ nodeName, nodeIp, nodes, port, network, extraNames, dns, staticPods },
    ...{ verbosity: options.v, disabled: options.disable, endpoint: options.controlPlaneEndpoint },
    auditPolicyFile: policyFile(options.auditPolicyFile),
    store: servers ? 'external' : options.etcd && own[options.etcd],
    externalEtcd: servers ? { servers, ...external } : undefined,
  };
}

/** Told now, rather than in the log of the server, when it is not there. */
function policyFile(file: string | undefined): string | undefined {
  if (file === undefined || file === 'none') return file;
  accessSync(file);
  return resolve(file);
}

/** What the background process is to be called with: all that was given here, but for how it is started. */
function lastingOptions(argv: readonly string[]): string[] {
  return argv.filter((word) => !['up', '--detach', '-d', '--systemd'].includes(word));
}
