import { PODS } from '../api/resource-types.ts';
import { FakeClient } from '../client/client.fake.ts';
import { FakeEvents } from '../client/events.fake.ts';
import { createInformer } from '../client/informer.ts';
import type { Clock } from '../util/clock.ts';
import { silent } from '../util/log.ts';
import { Metrics } from '../util/metrics.ts';
import { clusterView, informersOf } from './cluster-view.ts';
import { readConfig } from './config.ts';
import { createScheduler } from './create-scheduler.ts';

/** A whole scheduler at work beside an API server in memory. */
export function runningScheduler(clock: Clock, wall = clock) {
  const client = new FakeClient();
  const events = new FakeEvents();
  const abort = new AbortController();
  const view = clusterView((type, selection) => createInformer(client, type, selection, { clock }));
  const scheduler = createScheduler(
    {
      ...{ client, view, events, metrics: new Metrics(), extenders: [] },
      ...{ clock, wall, random: () => 0, log: silent },
    },
    readConfig(undefined),
  );
  const running = Promise.all([
    ...informersOf(view).map((informer) => informer.run(abort.signal)),
    scheduler.run(abort.signal),
  ]).catch(() => {});
  const find = (name: string) => client.all(PODS).find((pod) => pod.metadata.name === name);
  return {
    ...{ client, events },
    nodeOf: (name: string) => find(name)?.spec?.nodeName,
    condition: (name: string) => find(name)?.status?.conditions?.[0],
    explain: (name: string) => scheduler.explain('default', name),
    async stop(): Promise<void> {
      abort.abort();
      await running;
    },
  };
}
