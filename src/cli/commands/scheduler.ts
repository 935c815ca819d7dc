import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { Command } from 'commander';
import { SUBJECT_ACCESS_REVIEWS } from '../../api/system-resource-types.ts';
import { parseYaml } from '../../api/yaml.ts';
import type { Client } from '../../client/client.ts';
import { EventWriter } from '../../client/events.ts';
import { createInformer } from '../../client/informer.ts';
import { LeaderElector } from '../../client/leader-election.ts';
import { createClient } from '../../client/rest-client.ts';
import {
  type ComponentAnswers,
  type ComponentServerOptions,
  serveComponent,
} from '../../http/component-server.ts';
import { clusterView, informersOf } from '../../scheduler/cluster-view.ts';
import { readConfig, type SchedulerConfig } from '../../scheduler/config.ts';
import { createScheduler } from '../../scheduler/create-scheduler.ts';
import { httpExtender } from '../../scheduler/http-extender.ts';
import type { Scheduler } from '../../scheduler/scheduler.ts';
import { realClock } from '../../util/clock.ts';
import { errorMessage } from '../../util/errors.ts';
import { runAll, shutdownSignal } from '../../util/lifecycle.ts';
import { createLogger, type Logger } from '../../util/log.ts';
import { Metrics } from '../../util/metrics.ts';
import { steadyClock } from '../../util/steady-clock.ts';

interface Flags {
  readonly kubeconfig?: string;
  readonly config?: string;
  readonly leaderElect?: string | boolean;
  readonly bindAddress: string;
  readonly securePort: string;
  readonly tlsCertFile?: string;
  readonly tlsPrivateKeyFile?: string;
  readonly clientCaFile?: string;
  readonly v: string;
}

export function command(): Command {
  return new Command('scheduler')
    .description('Decides which node each Pod runs on')
    .option('--kubeconfig <file>', 'how to reach the API server')
    .option('--config <file>', 'a KubeSchedulerConfiguration')
    .option('--leader-elect [bool]', 'work only while holding the lease (default: true)')
    .option('--bind-address <address>', 'where health and metrics are served', '0.0.0.0')
    .option('--secure-port <port>', 'where health and metrics are served; 0: nowhere', '10259')
    .option('--tls-cert-file <file>', 'serving certificate')
    .option('--tls-private-key-file <file>', 'its key')
    .option('--client-ca-file <file>', 'whose clients may read metrics and decisions')
    .option('-v, --v <level>', 'log verbosity', '2')
    .action(run);
}

async function run(flags: Flags): Promise<void> {
  const log = createLogger('scheduler', Number(flags.v));
  const config = await loadConfig(flags.config);
  const kubeconfig = flags.kubeconfig ?? config.kubeconfig;
  if (kubeconfig === '') throw new Error('--kubeconfig (or clientConnection.kubeconfig) is needed');
  const signal = shutdownSignal(log);
  const client = await createClient(kubeconfig, { userAgent: 'kube-scheduler/v1.36.2' });
  const deps = { client, log, clock: realClock };
  const view = clusterView((type, selection) => createInformer(client, type, selection, deps));
  const metrics = new Metrics();
  const extenders = await Promise.all(config.extenders.map(httpExtender));
  const events = new EventWriter(deps, { component: 'default-scheduler' });
  const scheduler = createScheduler(
    {
      ...deps,
      ...{ view, events, metrics, extenders, random: Math.random },
      ...{ clock: steadyClock, wall: realClock },
    },
    config,
  );
  const work = (leading: AbortSignal) => scheduler.run(leading);
  const leads = String(flags.leaderElect ?? config.leaderElection.leaderElect) === 'true';
  try {
    await runAll(signal, [
      ...informersOf(view).map((informer) => informer.run(signal)),
      events.run(signal),
      serveComponent(serving(flags, log), answers(scheduler, metrics, client), signal),
      leads
        ? elector({ ...deps, events, steady: steadyClock }, config).run(signal, work)
        : work(signal),
    ]);
  } finally {
    client.close();
  }
}

function serving(flags: Flags, log: Logger): ComponentServerOptions {
  return {
    host: flags.bindAddress,
    port: Number(flags.securePort),
    certificateFile: flags.tlsCertFile,
    keyFile: flags.tlsPrivateKeyFile,
    clientCaFile: flags.clientCaFile,
    onError: (err) => log.error({ err: errorMessage(err) }, 'Could not use a changed file'),
  };
}

function answers(scheduler: Scheduler, metrics: Metrics, client: Client): ComponentAnswers {
  return {
    checks: [{ name: 'ping', check: () => {} }],
    metrics() {
      scheduler.observe();
      return metrics.render();
    },
    pages: {
      '/debug/decisions': (query) =>
        scheduler.explain(query.get('namespace') ?? 'default', query.get('pod') ?? ''),
    },
    authorize: (user, path) => mayGet(client, user, path),
  };
}

/** Administrators may read everything; others what the cluster's authorizer grants them, as upstream asks it. */
async function mayGet(
  client: Client,
  user: { name: string; groups: string[] },
  path: string,
): Promise<boolean> {
  if (user.groups.includes('system:masters')) return true;
  const review = await client.create(SUBJECT_ACCESS_REVIEWS, {
    apiVersion: 'authorization.k8s.io/v1',
    kind: 'SubjectAccessReview',
    metadata: {},
    spec: { user: user.name, groups: user.groups, nonResourceAttributes: { path, verb: 'get' } },
  });
  return review.status?.allowed === true;
}

async function loadConfig(file: string | undefined): Promise<SchedulerConfig> {
  if (file === undefined) return readConfig(undefined);
  return readConfig(await parseYaml(await readFile(file, 'utf8')));
}

function elector(
  deps: ConstructorParameters<typeof LeaderElector>[0],
  { leaderElection }: SchedulerConfig,
): LeaderElector {
  const { resourceNamespace, resourceName, ...times } = leaderElection;
  return new LeaderElector(deps, {
    lease: { namespace: resourceNamespace, name: resourceName },
    identity: `${hostname()}_${randomUUID()}`,
    leaseMs: times.leaseMs,
    renewDeadlineMs: times.renewDeadlineMs,
    retryMs: times.retryMs,
  });
}
