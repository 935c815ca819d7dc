import { Command } from 'commander';
import { createClient } from '../../client/rest-client.ts';
import { joinCluster } from '../../cluster/join.ts';
import { joinControlPlane } from '../../cluster/join-control-plane.ts';
import { pathsUnder } from '../../cluster/paths.ts';
import { detach } from '../../cluster/up.ts';
import { realClock } from '../../util/clock.ts';
import { createLogger } from '../../util/log.ts';
import { progressWriter, rootOption, selfCommand } from '../options.ts';

interface Options {
  root: string;
  token: string;
  caCertHash?: string[];
  discoveryTokenUnsafeSkipCaVerification?: true;
  nodeName?: string;
  nodeIp?: string;
  controlPlane?: true;
  certificateKey?: string;
  v: number;
}

/** `k8ts join`: this machine becomes a node of another's cluster. */
export function command(): Command {
  return new Command()
    .description(
      'Make this machine a node of a cluster, and start it. `k8ts token create --print-join-command` on the control plane prints the whole command.',
    )
    .argument('<host:port>', 'the API server of the cluster')
    .addOption(rootOption())
    .requiredOption('--token <token>', 'lets this machine in')
    .option('--ca-cert-hash <hashes...>', 'sha256:HEX of the public key of its authority')
    .option(
      '--discovery-token-unsafe-skip-ca-verification',
      'believe the token alone: whoever knows it could pose as the cluster',
    )
    .option('--node-name <name>', 'name of the node (default: the host name)')
    .option(
      '--node-ip <address>',
      'address of the node (default: the one that the way to the server begins at)',
    )
    .option('--control-plane', 'become one more control plane, not only a node')
    .option('--certificate-key <key>', 'what its authorities are encrypted with on their way')
    .option('-v <level>', 'verbosity of the components', Number, 2)
    .action(run);
}

async function run(address: string, options: Options): Promise<void> {
  const { root, token, caCertHash, nodeName, nodeIp, v: verbosity } = options;
  if (!caCertHash && !options.discoveryTokenUnsafeSkipCaVerification) {
    throw new Error(
      '--ca-cert-hash is missing: k8ts token create --print-join-command prints it; --discovery-token-unsafe-skip-ca-verification does without',
    );
  }
  const request = { server: serverOf(address), token, caCertHashes: caCertHash };
  const deps = {
    clock: realClock,
    log: createLogger('join', verbosity),
    self: selfCommand(),
    connect: (kubeconfig: string) => createClient(kubeconfig),
    journal: false,
    launch: detach,
    progress: progressWriter(),
  };
  const chosen = { nodeName, nodeIp, verbosity };
  if (options.controlPlane) {
    const { certificateKey } = options;
    if (certificateKey === undefined) {
      throw new Error(
        '--certificate-key is missing: k8ts token create --control-plane --print-join-command prints the whole command',
      );
    }
    await joinControlPlane(pathsUnder(root), { ...request, certificateKey }, chosen, deps);
  } else {
    await joinCluster(pathsUnder(root), request, chosen, deps);
  }
  process.exit(0); // Do not wait for the node that was just started.
}

function serverOf(address: string): string {
  const [, host, port] = /^(?:https:\/\/)?([^/:]+|\[[0-9a-fA-F:]+\]):(\d+)$/.exec(address) ?? [];
  if (host === undefined || port === undefined) {
    throw new Error(`${address} is not HOST:PORT; an API server is usually at port 6443`);
  }
  return `https://${host}:${port}`;
}
