import { readFile } from 'node:fs/promises';
import { Command } from 'commander';
import { CONFIG_MAPS, NODES } from '../../api/resource-types.ts';
import { inClusterAccess } from '../../client/in-cluster.ts';
import { createInformer } from '../../client/informer.ts';
import { type ClusterAccess, loadKubeconfig, type Material } from '../../client/kubeconfig.ts';
import { RestClient } from '../../client/rest-client.ts';
import { call } from '../../http/call.ts';
import { MetricsServer, TRUST_KEY } from '../../metrics-server/metrics-server.ts';
import type { KubeletAddress } from '../../metrics-server/scraper.ts';
import { realClock } from '../../util/clock.ts';
import { parseDuration } from '../../util/duration.ts';
import { joinHostPort } from '../../util/ip.ts';
import { runAll, shutdownSignal } from '../../util/lifecycle.ts';
import { createLogger } from '../../util/log.ts';

interface Flags {
  readonly kubeconfig?: string;
  readonly bindAddress: string;
  readonly securePort: string;
  readonly tlsCertFile?: string;
  readonly tlsPrivateKeyFile?: string;
  readonly metricResolution: string;
  readonly kubeletPreferredAddressTypes: string;
  readonly kubeletCertificateAuthority?: string;
  readonly kubeletInsecureTls?: boolean;
  readonly v: string;
}

const TIMEOUT_MS = 10_000;

export function command(): Command {
  return new Command('metrics-server')
    .description('Tells what nodes and Pods use: kubectl top, and autoscalers')
    .option('--kubeconfig <file>', "how to reach the API server (default: the Pod's account)")
    .option('--bind-address <address>', 'where the API is served', '0.0.0.0')
    .option('--secure-port <port>', 'where the API is served', '10250')
    .option('--tls-cert-file <file>', 'serving certificate (default: one of its own)')
    .option('--tls-private-key-file <file>', 'its key')
    .option('--metric-resolution <duration>', 'how often nodes are asked', '15s')
    .option(
      '--kubelet-preferred-address-types <types>',
      'which address of a node is used',
      'Hostname,InternalDNS,InternalIP,ExternalDNS,ExternalIP',
    )
    .option('--kubelet-certificate-authority <file>', 'who signs the certificates of kubelets')
    .option('--kubelet-insecure-tls', 'believe any certificate of a kubelet')
    .option('-v, --v <level>', 'log verbosity', '2')
    .action(run);
}

async function run(flags: Flags): Promise<void> {
  const log = createLogger('metrics-server', Number(flags.v));
  const signal = shutdownSignal(log);
  const access = flags.kubeconfig ? await loadKubeconfig(flags.kubeconfig) : inClusterAccess();
  const client = new RestClient(access, { userAgent: 'metrics-server' });
  const base = { client, log, clock: realClock };
  const server = new MetricsServer(
    {
      ...base,
      nodes: createInformer(client, NODES, {}, base),
      trust: createInformer(
        client,
        CONFIG_MAPS,
        { namespace: TRUST_KEY.namespace, fieldSelector: `metadata.name=${TRUST_KEY.name}` },
        base,
      ),
      fetch: (address) => askKubelet(address, access, flags),
    },
    {
      host: flags.bindAddress,
      port: Number(flags.securePort),
      ...(await servingCertificate(flags)),
      resolutionMs: parseDuration(flags.metricResolution),
      addressTypes: flags.kubeletPreferredAddressTypes.split(','),
    },
  );
  try {
    await runAll(signal, [server.run(signal)]);
  } finally {
    client.close();
  }
}

/** A kubelet knows us by what the API server knows us by. */
async function askKubelet(
  { host, port }: KubeletAddress,
  access: ClusterAccess,
  flags: Flags,
): Promise<string> {
  const { kubeletCertificateAuthority, kubeletInsecureTls } = flags;
  const [cert, key, token] = await Promise.all(
    [access.certificate, access.key, access.token].map(textOf),
  );
  const ca = kubeletCertificateAuthority
    ? await readFile(kubeletCertificateAuthority, 'utf8')
    : await textOf(access.ca);
  const answer = await call({
    url: new URL(`https://${joinHostPort(host, port)}/metrics/resource`),
    method: 'GET',
    headers: token ? { authorization: `Bearer ${token.trim()}` } : {},
    tls: {
      rejectUnauthorized: kubeletInsecureTls !== true,
      ...(ca ? { ca } : {}),
      ...(cert && key ? { cert, key } : {}),
    },
    timeoutMs: TIMEOUT_MS,
  });
  if (answer.status !== 200) {
    throw new Error(`the kubelet at ${host} answered ${answer.status}: ${answer.body.toString()}`);
  }
  return answer.body.toString();
}

async function textOf(material: Material | undefined): Promise<string | undefined> {
  if (!material) return undefined;
  if ('data' in material) return material.data;
  return 'file' in material ? readFile(material.file, 'utf8') : material.provide(false);
}

async function servingCertificate({ tlsCertFile, tlsPrivateKeyFile }: Flags) {
  if (tlsCertFile && tlsPrivateKeyFile) {
    const [certificate, key] = await Promise.all([
      readFile(tlsCertFile, 'utf8'),
      readFile(tlsPrivateKeyFile, 'utf8'),
    ]);
    return { certificate, key };
  }
  const { createAuthority } = await import('../../pki/ca.ts');
  return createAuthority('metrics-server', Date.now());
}
