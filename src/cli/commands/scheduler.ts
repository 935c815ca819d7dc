import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import { Command } from 'commander';
import { NODES, PODS } from '../../api/resource-types.ts';
import { EventWriter } from '../../client/events.ts';
import { createInformer } from '../../client/informer.ts';
import { LeaderElector } from '../../client/leader-election.ts';
import { createClient } from '../../client/rest-client.ts';
import { createScheduler } from '../../scheduler/create-scheduler.ts';
import { realClock } from '../../util/clock.ts';
import { runAll, shutdownSignal } from '../../util/lifecycle.ts';
import { createLogger } from '../../util/log.ts';
import { Metrics } from '../../util/metrics.ts';

interface Options {
  readonly kubeconfig: string;
  readonly leaderElect: string;
  readonly v: string;
}

/** Pods that have ended hold nothing any more: the scheduler never needs to see them. */
const LIVE_PODS = { fieldSelector: 'status.phase!=Succeeded,status.phase!=Failed' };

export function command(): Command {
  return new Command('scheduler')
    .description('Decides which node each Pod runs on')
    .requiredOption('--kubeconfig <file>', 'how to reach the API server')
    .option('--leader-elect [bool]', 'lead only while holding the lease', 'true')
    .option('-v, --v <level>', 'log verbosity', '2')
    .action(run);
}

async function run(options: Options): Promise<void> {
  const log = createLogger('scheduler', Number(options.v));
  const signal = shutdownSignal(log);
  const client = await createClient(options.kubeconfig, { userAgent: 'kube-scheduler/v1.36.2' });
  const deps = { client, log, clock: realClock };
  const pods = createInformer(client, PODS, LIVE_PODS, deps);
  const nodes = createInformer(client, NODES, {}, deps);
  const events = new EventWriter(deps, { component: 'default-scheduler' });
  const scheduler = createScheduler({
    ...deps,
    pods,
    nodes,
    events,
    metrics: new Metrics(),
    random: Math.random,
  });
  const schedule = (leading: AbortSignal) => scheduler.run(leading);
  await runAll(signal, [
    pods.run(signal),
    nodes.run(signal),
    events.run(signal),
    String(options.leaderElect) === 'false'
      ? schedule(signal)
      : elector({ ...deps, events }).run(signal, schedule),
  ]);
}

function elector(deps: ConstructorParameters<typeof LeaderElector>[0]): LeaderElector {
  return new LeaderElector(deps, {
    lease: { namespace: 'kube-system', name: 'kube-scheduler' },
    identity: `${hostname()}_${randomUUID()}`,
  });
}
