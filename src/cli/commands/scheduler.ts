import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { Command } from 'commander';
import { parseYaml } from '../../api/yaml.ts';
import { EventWriter } from '../../client/events.ts';
import { createInformer } from '../../client/informer.ts';
import { LeaderElector } from '../../client/leader-election.ts';
import { createClient } from '../../client/rest-client.ts';
import { type ComponentAnswers, serveComponent } from '../../http/component-server.ts';
import { clusterView, informersOf } from '../../scheduler/cluster-view.ts';
import { readConfig, type SchedulerConfig } from '../../scheduler/config.ts';
import { createScheduler } from '../../scheduler/create-scheduler.ts';
import { httpExtender } from '../../scheduler/http-extender.ts';
import type { Scheduler } from '../../scheduler/scheduler.ts';
import { realClock } from '../../util/clock.ts';
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

interface Flags extends ServingFlags {
  readonly kubeconfig?: string;
  readonly config?: string;
  readonly leaderElect?: string | boolean;
  readonly v: string;
}

export function command(): Command {
  return servingFlags(new Command('scheduler'), 10_259)
    .description('Decides which node each Pod runs on')
    .option('--kubeconfig <file>', 'how to reach the API server')
    .option('--config <file>', 'a KubeSchedulerConfiguration')
    .option('--leader-elect [bool]', 'work only while holding the lease (default: true)')
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
  const may = pathAuthorizer(flags, client);
  const serving = servingOptions(flags, { clock: realClock, log });
  const leads = String(flags.leaderElect ?? config.leaderElection.leaderElect) === 'true';
  try {
    await runAll(signal, [
      ...informersOf(view).map((informer) => informer.run(signal)),
      events.run(signal),
      serveComponent(serving, answers(scheduler, metrics, may), signal),
      leads
        ? elector({ ...deps, events, steady: steadyClock }, config).run(signal, work)
        : work(signal),
    ]);
  } finally {
    client.close();
  }
}

function answers(
  scheduler: Scheduler,
  metrics: Metrics,
  authorize: NonNullable<ComponentAnswers['authorize']>,
): ComponentAnswers {
  return {
    checks: () => [{ name: 'ping', check: () => {} }],
    metrics() {
      scheduler.observe();
      return metrics.render();
    },
    pages: {
      '/debug/decisions': (query) =>
        scheduler.explain(query.get('namespace') ?? 'default', query.get('pod') ?? ''),
    },
    authorize,
  };
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
