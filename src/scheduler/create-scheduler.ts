import type { Client, EventRecorder } from '../client/client.ts';
import type { Clock } from '../util/clock.ts';
import type { Logger } from '../util/log.ts';
import type { Metrics } from '../util/metrics.ts';
import { Cache } from './cache.ts';
import type { ClusterView } from './cluster-view.ts';
import type { SchedulerConfig } from './config.ts';
import { DecisionRecord } from './decisions.ts';
import { DeviceView } from './devices/device-view.ts';
import { Evictor } from './evictor.ts';
import type { Extender } from './extender.ts';
import { schedulerMetrics } from './metrics.ts';
import { Nominator } from './nominator.ts';
import { PodStatusWriter } from './pod-status.ts';
import type { Profile } from './profile.ts';
import { createProfiles } from './profiles.ts';
import { SchedulingQueue } from './queue.ts';
import { Scheduler } from './scheduler.ts';
import type { Labels } from './selectors.ts';
import { WaitingPods } from './waiting-pods.ts';
import { WakeTable } from './wake-table.ts';

export interface CreateDeps {
  readonly client: Client;
  readonly view: ClusterView;
  readonly extenders: readonly Extender[];
  readonly events: EventRecorder;
  readonly metrics: Metrics;
  /** Passes evenly: what takes how long must not depend on who sets the time. */
  readonly clock: Clock;
  /** The time of day, for what people read. */
  readonly wall: Clock;
  readonly random: () => number;
  readonly log: Logger;
}

const NO_LABELS: Labels = {};

/** Puts a scheduler together from its parts, before the informers run. Throws ConfigError. */
export function createScheduler(deps: CreateDeps, config: SchedulerConfig): Scheduler {
  const { view } = deps;
  const cache = new Cache(deps);
  const nominator = new Nominator();
  const waitingPods = new WaitingPods(deps);
  const decisions = new DecisionRecord({ clock: deps.wall });
  const metrics = schedulerMetrics(deps.metrics);
  const statusWriter = new PodStatusWriter({ ...deps, clock: deps.wall });
  const evictor: Evictor = new Evictor({
    ...deps,
    ...{ nominator, statusWriter, clock: deps.wall },
    activate: (uids) => queue.activate(uids),
  });
  const profiles = createProfiles(config.profiles, {
    ...deps,
    ...{ metrics, nominator, evictor },
    snapshot: () => cache.current,
    ignoredResources: config.extenders.flatMap(({ managedResources }) =>
      managedResources.filter((one) => one.ignoredByScheduler).map(({ name }) => name),
    ),
    waitingPods,
    siblings: view,
    storage: view,
    devices: new DeviceView(view),
    budgets: view.budgets,
    namespaceLabels: (name) =>
      view.namespaces.get({ namespace: '', name })?.metadata.labels ?? NO_LABELS,
  });
  const queue = createQueue(profiles, deps.clock, config);
  return new Scheduler(
    {
      ...deps,
      ...{
        cache,
        decisions,
        waitingPods,
        nominator,
        queue,
        statusWriter,
        evictor,
        profiles,
        metrics,
      },
    },
    { percentageOfNodesToScore: config.percentageOfNodesToScore },
  );
}

function createQueue(
  profiles: ReadonlyMap<string, Profile>,
  clock: Clock,
  config: SchedulerConfig,
): SchedulingQueue {
  const all = [...profiles.values()];
  const sort = all[0]?.points.queueSort;
  if (!sort) throw new Error('A scheduler needs a profile');
  return new SchedulingQueue(
    {
      clock,
      less: (a, b) => sort.less(a, b),
      gate: (pod) => profiles.get(pod.pod.spec?.schedulerName ?? '')?.gate(pod)?.plugin,
      wakes: new WakeTable(all.flatMap((profile) => profile.plugins)),
    },
    { initialBackoffMs: config.podInitialBackoffMs, maxBackoffMs: config.podMaxBackoffMs },
  );
}
