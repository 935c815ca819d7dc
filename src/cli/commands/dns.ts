import { readFile } from 'node:fs/promises';
import { networkInterfaces } from 'node:os';
import { Command } from 'commander';
import { ENDPOINT_SLICES, PODS, SERVICES } from '../../api/resource-types.ts';
import { inClusterAccess } from '../../client/in-cluster.ts';
import { createInformer } from '../../client/informer.ts';
import { createClient, RestClient } from '../../client/rest-client.ts';
import { Autopath, addAutopathIndex } from '../../dns/autopath.ts';
import { CachingForwarder, parseResolvConf, searchesOf } from '../../dns/forwarder.ts';
import { serveHttpPage } from '../../dns/http-endpoints.ts';
import { dnsMetrics } from '../../dns/metrics.ts';
import { addDnsIndexes, ClusterRecords } from '../../dns/records.ts';
import { Resolver } from '../../dns/resolver.ts';
import { DnsServer } from '../../dns/server.ts';
import { realClock } from '../../util/clock.ts';
import { errnoOf } from '../../util/errors.ts';
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
  autopath?: boolean;
  healthPort: number;
  readyPort: number;
  metricsPort: number;
  lameduck: number;
  v: number;
}

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
    .option('--autopath', "walk the search path in the asker's place; follows all Pods")
    .option('--health-port <number>', 'for /health', Number, 8080)
    .option('--ready-port <number>', 'for /ready', Number, 8181)
    .option('--metrics-port <number>', 'for /metrics', Number, 9153)
    .option('--lameduck <seconds>', 'how long to answer on after being asked to end', Number, 1)
    .option('-v <level>', 'how much is logged', Number, 2)
    .action(runDns);
}

async function runDns(options: Options): Promise<void> {
  const log = createLogger('dns', options.v);
  const leaving = shutdownSignal(log);
  const signal = delayed(leaving, options.lameduck * 1000);
  const client = options.kubeconfig
    ? await createClient(options.kubeconfig)
    : new RestClient(inClusterAccess());
  const services = createInformer(client, SERVICES, {}, { log });
  const slices = createInformer(client, ENDPOINT_SLICES, {}, { log });
  addDnsIndexes(services, slices);
  const metrics = dnsMetrics();
  const zone = options.clusterDomain;
  const resolvConf = await readUpstreams(options);
  const forwarder = new CachingForwarder(parseResolvConf(resolvConf, ownAddresses(options)), {
    clock: realClock,
    onCache: (hit) => (hit ? metrics.cacheHits : metrics.cacheMisses).inc(),
    onLoop: ({ host: upstream }) =>
      log.error({ upstream }, 'The upstream server forwards to this one; it is not asked any more'),
  });
  const records = new ClusterRecords(services, slices, zone);
  const pods = options.autopath ? createInformer(client, PODS, {}, { log }) : undefined;
  if (pods) addAutopathIndex(pods);
  const autopath = pods && new Autopath(pods, zone, searchesOf(resolvConf));
  const resolver = new Resolver({ records, forwarder, zone, autopath });
  const server = new DnsServer({ resolver, metrics });
  const informers = [services, slices, ...(pods ? [pods] : [])];
  const listening = Promise.withResolvers<void>();
  let serving = false;
  const serve = async () => {
    // A name that is not known yet must not be denied.
    await Promise.all(informers.map((informer) => informer.whenSynced(signal)));
    const address = { host: options.bindAddress, port: options.port };
    const onListening = (port: number) => {
      serving = true;
      listening.resolve();
      log.info({ port, zone }, 'Serving DNS');
    };
    await server.run(address, onListening, signal);
  };
  const ready = () => serving && !leaving.aborted;
  const page = (name: 'health' | 'ready' | 'metrics', port: number) =>
    serveHttpPage(name, port, { ready, metrics }, signal);
  // A probe that comes back must be heard.
  void listening.promise.then(() => forwarder.findLoops(signal)).catch(() => {});
  await runAll(signal, [
    ...informers.map((informer) => informer.run(signal)),
    serve(),
    page('health', options.healthPort),
    page('ready', options.readyPort),
    page('metrics', options.metricsPort),
  ]);
}

/** Aborts `ms` after `leaving`: meanwhile everybody learns that questions are to be sent elsewhere. */
function delayed(leaving: AbortSignal, ms: number): AbortSignal {
  const end = new AbortController();
  leaving.addEventListener('abort', () => void realClock.sleep(ms).then(() => end.abort()), {
    once: true,
  });
  return end.signal;
}

/** What must never be asked: this server itself. */
function ownAddresses({ clusterDns }: Options): string[] {
  const own = Object.values(networkInterfaces()).flatMap((list) => list ?? []);
  return [...own.map(({ address }) => address), '127.0.0.1', '127.0.0.53', '::1', clusterDns];
}

/** The text of a resolv.conf(5). */
async function readUpstreams({ upstream, resolvConf }: Options): Promise<string> {
  if (!upstream) return await readIfThere(resolvConf);
  return upstream.map((ip) => `nameserver ${ip}\n`).join('');
}

/** A node without a resolver has no file, or an empty one: then names of the cluster are all that there is. */
async function readIfThere(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (err) {
    if (errnoOf(err) === 'ENOENT') return '';
    throw err;
  }
}
