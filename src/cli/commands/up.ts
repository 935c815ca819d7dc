import { accessSync } from 'node:fs';
import { resolve } from 'node:path';
import { Command, Option } from 'commander';
import { createClient } from '../../client/rest-client.ts';
import { runJoined, startJoined } from '../../cluster/join.ts';
import { GATEWAY } from '../../cluster/local-nodes.ts';
import { membershipOf } from '../../cluster/membership.ts';
import { pathsUnder } from '../../cluster/paths.ts';
import {
  type LastingChoices,
  lastingChoices,
  nodeAddress,
  settingsFor,
} from '../../cluster/prepare.ts';
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
  nodes: number;
  port: number;
  extraNames: string[];
  auditPolicyFile?: string;
  disable: string[];
  dns: boolean;
  etcd?: 'none' | 'stacked';
  etcdServers?: string;
  etcdCafile?: string;
  etcdCertfile?: string;
  etcdKeyfile?: string;
  staticPods?: true;
  controlPlaneEndpoint?: string;
  network?: ClusterSettings['network'];
  v: number;
}

/** `k8ts up`: a control plane and a node on this machine, kept running; where the machine has joined another's cluster, that node. */
export function command(): Command {
  return storeOptions(new Command())
    .description('Start a cluster on this machine and keep it running. Pods outlive this command.')
    .addOption(rootOption())
    .option('-d, --detach', 'return when the node is Ready, and go on in the background')
    .option('--systemd', 'the same as a service of systemd, which starts with the machine')
    .option('--node-name <name>', 'name of the node (default: the host name)')
    .option('--node-ip <address>', 'address of the node (default: that of the default route)')
    .option('--nodes <count>', 'nodes on this machine, each in a network of its own', Number, 1)
    .option('--port <port>', 'port of the API server', Number, DEFAULT_SETTINGS.port)
    .option('--extra-names <names...>', "more names in the API server's certificate", [])
    .option('--audit-policy-file <file>', 'what is recorded of requests (audit.k8s.io Policy)')
    .option(
      '--disable <names...>',
      'what to leave out: dns, kube-proxy, metrics-server, network-policy, service-lb',
      [],
    )
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
    .option('-v <level>', 'verbosity of the components', Number, DEFAULT_SETTINGS.verbosity)
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
  const log = createLogger('supervisor', options.v);
  const paths = pathsUnder(options.root);
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
    ? { ...member.settings, verbosity: options.v }
    : settingsOf(options, lastingChoices(paths));
  if (inBackground) {
    await upDetached(paths, settings, lastingOptions(process.argv.slice(2)), deps);
    process.exit(0); // Do not wait for the cluster that was just started.
  }
  await up(paths, settings, deps, shutdownSignal(log));
}

function settingsOf(options: Options, before: LastingChoices | undefined): ClusterSettings {
  const { nodeName, nodes, port, extraNames, v: verbosity } = options;
  if (!Number.isInteger(nodes) || nodes < 1) throw new Error('--nodes must be 1 or more');
  const disabled = [...options.disable, ...(options.dns ? [] : ['dns'])];
  const auditPolicyFile = options.auditPolicyFile && resolve(options.auditPolicyFile);
  if (auditPolicyFile) accessSync(auditPolicyFile); // Told now rather than in the log of the server.
  const lasting = lastingSettings(options, before);
  const chosen = {
    ...{ nodeName, nodes, port, extraNames, verbosity, disabled, ...lasting },
    ...(auditPolicyFile ? { auditPolicyFile } : {}),
  };
  if (nodes === 1) return settingsFor({ ...chosen, nodeIp: options.nodeIp });
  // All nodes must share a link, so the first is known by its address on theirs; the usual one stays good too.
  const outside = options.nodeIp ?? nodeAddress();
  const names = outside === undefined ? extraNames : [...extraNames, outside];
  return settingsFor({ ...chosen, nodeIp: GATEWAY, extraNames: names });
}

/** What stays as it was first chosen; to choose otherwise afterwards is refused where it would lose the cluster's state. */
function lastingSettings(options: Options, before: LastingChoices | undefined): LastingChoices {
  const { etcdServers: servers } = options;
  const staticPods = options.staticPods ?? before?.staticPods ?? false;
  const endpoint = options.controlPlaneEndpoint ?? before?.endpoint ?? '';
  const own = { none: 'lmdb', stacked: 'stacked' } as const;
  const asked = servers ? 'external' : options.etcd && own[options.etcd];
  const store = asked ?? before?.store ?? (staticPods ? 'stacked' : 'lmdb');
  if (before && store !== before.store) {
    throw new Error(
      `The store of this cluster is ${before.store}, and stays so: k8ts store migrate copies it to another, for a cluster of another --root`,
    );
  }
  if (staticPods && store === 'lmdb') {
    throw new Error(
      '--static-pods needs an etcd: drop --etcd none, or name one with --etcd-servers',
    );
  }
  if (endpoint !== '' && !/^[^:]+:\d+$/.test(endpoint)) {
    throw new Error(`--control-plane-endpoint: ${endpoint} is not HOST:PORT`);
  }
  const { etcdCafile: caFile, etcdCertfile: certFile, etcdKeyfile: keyFile } = options;
  const externalEtcd = servers ? { servers, caFile, certFile, keyFile } : before?.externalEtcd;
  const network = options.network ?? before?.network ?? 'host-gw';
  return { store, externalEtcd, staticPods, endpoint, network };
}

/** What the background process is to be called with: all that was given here, but for how it is started. */
function lastingOptions(argv: readonly string[]): string[] {
  return argv.filter((word) => !['up', '--detach', '-d', '--systemd'].includes(word));
}
