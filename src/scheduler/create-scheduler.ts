import type { Node, Pod } from '../api/types.ts';
import type { Client, EventRecorder, Informer } from '../client/client.ts';
import type { Clock } from '../util/clock.ts';
import type { Logger } from '../util/log.ts';
import type { Metrics } from '../util/metrics.ts';
import { Cache } from './cache.ts';
import { schedulerMetrics } from './metrics.ts';
import { Nominator } from './nominator.ts';
import { PodStatusWriter } from './pod-status.ts';
import { Profile } from './profile.ts';
import { extensionPoints } from './profiles.ts';
import { SchedulingQueue } from './queue.ts';
import { defaultPlugins } from './registry.ts';
import { Scheduler } from './scheduler.ts';
import { WakeTable } from './wake-table.ts';

export interface CreateDeps {
  readonly client: Client;
  readonly pods: Informer<Pod>;
  readonly nodes: Informer<Node>;
  readonly events: EventRecorder;
  readonly metrics: Metrics;
  readonly clock: Clock;
  readonly random: () => number;
  readonly log: Logger;
}

const INITIAL_BACKOFF_MS = 1000;
const MAX_BACKOFF_MS = 10_000;

/** Puts a scheduler together from its parts. Before the informers run. */
export function createScheduler(deps: CreateDeps): Scheduler {
  const cache = new Cache(deps);
  const nominator = new Nominator();
  const plugins = defaultPlugins(deps);
  const profile = new Profile(
    { nominator },
    {
      name: 'default-scheduler',
      points: extensionPoints(plugins),
      plugins: plugins.map(({ plugin }) => plugin),
    },
  );
  const queue = new SchedulingQueue(
    {
      clock: deps.clock,
      less: (a, b) => profile.points.queueSort.less(a, b),
      gate: (pod) => profile.gate(pod)?.plugin,
      wakes: new WakeTable(profile.plugins),
    },
    { initialBackoffMs: INITIAL_BACKOFF_MS, maxBackoffMs: MAX_BACKOFF_MS },
  );
  return new Scheduler(
    {
      ...deps,
      cache,
      nominator,
      queue,
      statusWriter: new PodStatusWriter(deps),
      profiles: new Map([[profile.name, profile]]),
      extenders: [],
      metrics: schedulerMetrics(deps.metrics),
    },
    { percentageOfNodesToScore: 0 },
  );
}
