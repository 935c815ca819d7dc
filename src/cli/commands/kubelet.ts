import { hostname } from 'node:os';
import { join, resolve } from 'node:path';
import { Command } from 'commander';
import { EventWriter } from '../../client/events.ts';
import { createInformer } from '../../client/informer.ts';
import { RestClient } from '../../client/rest-client.ts';
import { createCgroups } from '../../host/cgroups.ts';
import { systemLogind } from '../../host/logind.ts';
import { machineAddresses, machineFacts } from '../../host/machine.ts';
import { hostMounts } from '../../host/mounts.ts';
import { systemdCgroups } from '../../host/systemd-cgroups.ts';
import { type FollowedFile, followedFile } from '../../http/follow-files.ts';
import { ClientCertificate } from '../../kubelet/client-certificate.ts';
import {
  type KubeletConfiguration,
  loadConfiguration,
  parseDuration,
} from '../../kubelet/config.ts';
import type { InformerFactory } from '../../kubelet/config-objects.ts';
import { checkHost } from '../../kubelet/host-checks.ts';
import {
  type IdentityOptions,
  kubeletAccess,
  rotateClientCertificate,
} from '../../kubelet/identity.ts';
import { Kubelet } from '../../kubelet/kubelet.ts';
import { KubeletServer } from '../../kubelet/kubelet-server.ts';
import { kubeletMetrics, measured } from '../../kubelet/metrics.ts';
import { openRuntime } from '../../kubelet/open-runtime.ts';
import { filedServing, issuedServing } from '../../kubelet/serving.ts';
import { MANY_STARTS, withRush } from '../../kubelet/start-rush.ts';
import { realClock } from '../../util/clock.ts';
import { errorMessage } from '../../util/errors.ts';
import { runAll, shutdownSignal } from '../../util/lifecycle.ts';
import { createLogger } from '../../util/log.ts';
import { Rush } from '../../util/rush.ts';
import { steadyClock } from '../../util/steady-clock.ts';
import { GIT_VERSION } from '../../util/version.ts';

interface Options {
  bootstrapKubeconfig?: string;
  certDir?: string;
  rotateCertificates?: true;
  rotateServerCertificates?: true;
  kubeconfig: string;
  config?: string;
  configDir?: string;
  hostnameOverride?: string;
  nodeIp?: string;
  nodeLabels?: string;
  rootDir: string;
  containerRuntimeEndpoint?: string;
  tlsCertFile?: string;
  tlsPrivateKeyFile?: string;
  clientCaFile?: string;
  cgroupDriver?: string;
  cgroupRoot?: string;
  address?: string;
  port?: string;
  healthzPort?: string;
  podCidr?: string;
  clusterDns?: string;
  clusterDomain?: string;
  maxPods?: string;
  resolvConf?: string;
  podManifestPath?: string;
  cniConfDir: string;
  cniBinDir: string;
  podInfraContainerImage: string;
  registerNode?: string;
  failSwapOn?: string;
  v: string;
}

export function command(): Command {
  return new Command('kubelet')
    .description('Runs the Pods of this node through a container runtime')
    .requiredOption('--kubeconfig <file>', 'how to reach the API server')
    .option('--bootstrap-kubeconfig <file>', 'how to get in the first time: a bootstrap token')
    .option('--cert-dir <directory>', 'where certificates are kept (default: ROOT-DIR/pki)')
    .option('--rotate-certificates', 'renew the client certificate before it lapses')
    .option('--rotate-server-certificates', 'let the cluster sign the serving certificate')
    .option('--config <file>', 'a KubeletConfiguration; flags that are given as well win')
    .option('--config-dir <directory>', 'drop-in configuration: *.conf, in their order')
    .option('--hostname-override <name>', "this node's name (default: the host name)")
    .option('--node-ip <addresses>', 'addresses of the node, parted by a comma')
    .option('--node-labels <labels>', 'labels at registration: key=value,…')
    .option('--root-dir <directory>', 'where pods and volumes live', '/var/lib/kubelet')
    .option('--container-runtime-endpoint <url>', 'socket of the runtime: unix:///…')
    .option('--tls-cert-file <file>', 'serving certificate')
    .option('--tls-private-key-file <file>', 'its key')
    .option('--client-ca-file <file>', 'authorities of client certificates')
    .option('--cni-conf-dir <directory>', 'network configurations, for Docker', '/etc/cni/net.d')
    .option('--cni-bin-dir <directory>', 'network plugins, for Docker', '/opt/cni/bin')
    .option(
      '--pod-infra-container-image <image>',
      "what holds a pod's namespaces, for Docker",
      'localhost/k8ts/pause:1',
    )
    .option('--cgroup-driver <driver>', 'cgroupfs or systemd, as the runtime has it')
    .option('--cgroup-root <name>', 'control group below which pods are put')
    .option('--address <address>', 'address to serve on (default 0.0.0.0)')
    .option('--port <port>', 'port to serve on (default 10250)')
    .option('--healthz-port <port>', 'port of /healthz on loopback (default 10248, 0 is none)')
    .option('--pod-cidr <cidr>', 'pod addresses of a node that stands alone')
    .option('--cluster-dns <addresses>', 'DNS servers of pods, parted by a comma')
    .option('--cluster-domain <domain>', 'domain of the cluster')
    .option('--max-pods <number>', 'pods that can run here (default 110)')
    .option('--resolv-conf <file>', "resolver configuration of pods with dnsPolicy 'Default'")
    .option('--pod-manifest-path <directory>', 'static pods')
    .option('--register-node [bool]', 'register the node with the API server')
    .option('--fail-swap-on [bool]', 'refuse a machine with swap (default true)')
    .option('-v, --v <level>', 'log verbosity', '2')
    .action(run);
}

async function run(options: Options): Promise<void> {
  const log = createLogger('kubelet', Number(options.v));
  const signal = shutdownSignal(log);
  const config = withFlags(await loadConfiguration(options.config, options.configDir), options);
  const machine = await machineFacts();
  const groups = createCgroups();
  const cgroups = config.cgroupDriver === 'systemd' ? systemdCgroups(groups) : groups;
  checkHost(config, { swap: machine.swap, cgroupVersion: cgroups.version });
  const nodeName = (options.hostnameOverride ?? hostname()).toLowerCase();
  const nodeIps = options.nodeIp?.split(',') ?? machineAddresses().slice(0, 1);
  const authority = await authorityOf(config);
  const identity = { ...identityOf(options, config, { nodeName, nodeIps }), authority };
  const access = await kubeletAccess(identity, { clock: realClock, log }, signal);
  const client = new RestClient(access, { userAgent: identity.userAgent });
  const metrics = kubeletMetrics(nodeName);
  const rush = new Rush(steadyClock, MANY_STARTS);
  const opened = await openRuntime(config.containerRuntimeEndpoint, {
    configDir: options.cniConfDir,
    binDir: options.cniBinDir,
    stateDir: join(resolve(options.rootDir), 'docker-cni'),
    pauseImage: options.podInfraContainerImage,
    requestTimeoutMs: parseDuration(config.runtimeRequestTimeout),
  });
  const runtime = measured(withRush(opened, rush), metrics);
  const base = { client, clock: realClock, log };
  const source = { component: 'kubelet', host: nodeName };
  const recorder = new EventWriter({ ...base, first: rush }, source);
  const informers: InformerFactory = (type, selection) =>
    createInformer(client, type, selection, base);
  const kubelet = new Kubelet(
    {
      ...base,
      steady: steadyClock,
      informers,
      runtime,
      recorder,
      machine,
      cgroups,
      mounts: hostMounts,
      metrics,
      logind: systemLogind,
      rush,
    },
    {
      config,
      nodeName,
      nodeIps,
      rootDir: resolve(options.rootDir),
      labels: pairs(options.nodeLabels ?? ''),
      gitVersion: GIT_VERSION,
    },
  );
  const serving = config.serverTLSBootstrap
    ? issuedServing(identity, base)
    : await filedServing(identity, config, base);
  const server = new KubeletServer({ ...base, clock: steadyClock, kubelet, serving }, config);
  const loops = [recorder.run(signal), kubelet.run(signal)];
  if (config.enableServer) loops.push(server.run(signal));
  if (identity.rotates) loops.push(rotateClientCertificate(identity, base, signal));
  const onError = (err: unknown): void =>
    log.error({ err: errorMessage(err) }, 'Could not use changed authorities');
  if (authority) loops.push(authority.follow(onError, signal));
  await runAll(signal, loops);
  runtime.close();
  client.close();
}

/** Certificates that the cluster signs follow its authority. */
async function authorityOf({
  authentication,
  rotateCertificates,
  serverTLSBootstrap,
}: KubeletConfiguration): Promise<FollowedFile | undefined> {
  const file = authentication.x509.clientCAFile;
  if (file === '' || !(rotateCertificates || serverTLSBootstrap)) return undefined;
  return followedFile(file);
}

function identityOf(
  options: Options,
  config: KubeletConfiguration,
  { nodeName, nodeIps }: { nodeName: string; nodeIps: readonly string[] },
): IdentityOptions {
  return {
    kubeconfig: options.kubeconfig,
    bootstrapKubeconfig: options.bootstrapKubeconfig,
    certDir: options.certDir ?? join(resolve(options.rootDir), 'pki'),
    nodeName,
    names: [nodeName, ...nodeIps],
    rotates: config.rotateCertificates,
    clientCertificate: config.rotateCertificates ? new ClientCertificate() : undefined,
    userAgent: `kubelet/${GIT_VERSION}`,
  };
}

/** Flags win over the file. */
function withFlags(file: KubeletConfiguration, options: Options): KubeletConfiguration {
  const config = structuredClone(file);
  const text = {
    containerRuntimeEndpoint: options.containerRuntimeEndpoint,
    tlsCertFile: options.tlsCertFile,
    tlsPrivateKeyFile: options.tlsPrivateKeyFile,
    cgroupDriver: options.cgroupDriver,
    cgroupRoot: options.cgroupRoot,
    address: options.address,
    podCIDR: options.podCidr,
    clusterDomain: options.clusterDomain,
    resolvConf: options.resolvConf,
    staticPodPath: options.podManifestPath,
  };
  const numbers = {
    port: options.port,
    healthzPort: options.healthzPort,
    maxPods: options.maxPods,
  };
  for (const [field, value] of Object.entries(text)) {
    if (value !== undefined) Object.assign(config, { [field]: value });
  }
  for (const [field, value] of Object.entries(numbers)) {
    if (value !== undefined) Object.assign(config, { [field]: Number(value) });
  }
  if (options.clusterDns !== undefined) config.clusterDNS = options.clusterDns.split(',');
  if (options.clientCaFile !== undefined) {
    config.authentication.x509.clientCAFile = options.clientCaFile;
  }
  if (options.rotateCertificates) config.rotateCertificates = true;
  if (options.rotateServerCertificates) config.serverTLSBootstrap = true;
  if (options.failSwapOn !== undefined) config.failSwapOn = options.failSwapOn !== 'false';
  if (options.registerNode !== undefined) config.registerNode = options.registerNode !== 'false';
  return config;
}

function pairs(text: string): Record<string, string> {
  const parts = text.split(',').filter((part) => part !== '');
  return Object.fromEntries(
    parts.map((part) => {
      const [key = '', ...value] = part.split('=');
      return [key, value.join('=')];
    }),
  );
}
