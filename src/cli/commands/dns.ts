import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { networkInterfaces } from 'node:os';
import { Command } from 'commander';
import { ENDPOINT_SLICES, SERVICES } from '../../api/resource-types.ts';
import { createInformer } from '../../client/informer.ts';
import { createClient, RestClient } from '../../client/rest-client.ts';
import { CachingForwarder, parseResolvConf, type Upstream } from '../../dns/forwarder.ts';
import { dnsMetrics } from '../../dns/metrics.ts';
import { addDnsIndexes, ClusterRecords } from '../../dns/records.ts';
import { Resolver } from '../../dns/resolver.ts';
import { DnsServer } from '../../dns/server.ts';
import { realClock } from '../../util/clock.ts';
import { joinHostPort } from '../../util/ip.ts';
import { runAll, shutdownSignal } from '../../util/lifecycle.ts';
import { createLogger } from '../../util/log.ts';

interface Options {
  kubeconfig?: string;
  clusterDomain: string;
  bindAddress: string;
  port: number;
  upstream?: string[];
  resolvConf: string;
  clusterDns: string;
  healthPort: number;
  v: number;
}

const SERVICE_ACCOUNT = '/var/run/secrets/kubernetes.io/serviceaccount';

export function command(): Command {
  return new Command('dns')
    .description('Answers the names of Services and Pods, and forwards all others')
    .option(
      '--kubeconfig <file>',
      "how to reach the API server (default: the Pod's service account)",
    )
    .option('--cluster-domain <zone>', 'the zone of the cluster', 'cluster.local')
    .option('--bind-address <ip>', 'where questions are taken', '0.0.0.0')
    .option('--port <number>', 'UDP and TCP port', Number, 53)
    .option(
      '--upstream <ips>',
      'servers for all other names (default: from --resolv-conf)',
      (text) => text.split(',').map((entry) => entry.trim()),
    )
    .option('--resolv-conf <file>', 'where upstream servers are listed', '/etc/resolv.conf')
    .option('--cluster-dns <ip>', 'the address of this service, never asked', '10.96.0.10')
    .option('--health-port <number>', '/health, /ready and /metrics', Number, 8181)
    .option('-v <level>', 'how much is logged', Number, 2)
    .action(runDns);
}

async function runDns(options: Options): Promise<void> {
  const log = createLogger('dns', options.v);
  const signal = shutdownSignal(log);
  const client = options.kubeconfig ? await createClient(options.kubeconfig) : inClusterClient();
  const services = createInformer(client, SERVICES, {}, { log });
  const slices = createInformer(client, ENDPOINT_SLICES, {}, { log });
  addDnsIndexes(services, slices);
  const metrics = dnsMetrics();
  const zone = options.clusterDomain;
  const forwarder = new CachingForwarder(await upstreams(options), {
    clock: realClock,
    onCache: (hit) => (hit ? metrics.cacheHits : metrics.cacheMisses).inc(),
  });
  const records = new ClusterRecords(services, slices, zone);
  const server = new DnsServer({ resolver: new Resolver({ records, forwarder, zone }), metrics });
  const serve = async () => {
    // A name that is not known yet must not be denied.
    await Promise.all([services.whenSynced(signal), slices.whenSynced(signal)]);
    const address = { host: options.bindAddress, port: options.port };
    await server.run(address, (port) => log.info({ port, zone }, 'Serving DNS'), signal);
  };
  const ready = () => services.synced && slices.synced;
  await runAll(signal, [
    services.run(signal),
    slices.run(signal),
    serve(),
    serveHealth(options.healthPort, { ready, metrics }, signal),
  ]);
}

function inClusterClient(): RestClient {
  const { KUBERNETES_SERVICE_HOST: host, KUBERNETES_SERVICE_PORT: port } = process.env;
  if (!host || !port) throw new Error('Give --kubeconfig, or run in a Pod with a service account');
  return new RestClient({
    server: `https://${joinHostPort(host, Number(port))}`,
    ca: { file: `${SERVICE_ACCOUNT}/ca.crt` },
    token: { file: `${SERVICE_ACCOUNT}/token` },
  });
}

async function upstreams(options: Options): Promise<Upstream[]> {
  const own = Object.values(networkInterfaces()).flatMap((list) =>
    (list ?? []).map((i) => i.address),
  );
  const never = [...own, '127.0.0.1', '127.0.0.53', '::1', options.clusterDns];
  const text = options.upstream
    ? options.upstream.map((ip) => `nameserver ${ip}`).join('\n')
    : await readFile(options.resolvConf, 'utf8');
  return parseResolvConf(text, never);
}

async function serveHealth(
  port: number,
  facts: { ready: () => boolean; metrics: ReturnType<typeof dnsMetrics> },
  signal: AbortSignal,
): Promise<void> {
  const server = createServer((request, response) => {
    if (request.url === '/metrics') {
      facts.metrics.registry.render().then(
        (text) => response.end(text),
        () => response.destroy(),
      );
      return;
    }
    const well = request.url === '/health' || (request.url === '/ready' && facts.ready());
    response.writeHead(well ? 200 : 503).end(well ? 'OK' : 'not ready');
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.once('close', resolve);
    server.listen({ port, signal });
    signal.addEventListener('abort', () => server.closeAllConnections(), { once: true });
  });
}
