import { PODS, type ResourceType } from '../api/resource-types.ts';
import type { Pod } from '../api/types.ts';
import type { Client } from '../client/client.ts';
import { EventWriter } from '../client/events.ts';
import { InformerFactory } from '../client/informer-factory.ts';
import { type LeaderElectionOptions, LeaderElector } from '../client/leader-election.ts';
import { whenServing } from '../client/when-serving.ts';
import type { Clock } from '../util/clock.ts';
import { runAll } from '../util/lifecycle.ts';
import type { Logger } from '../util/log.ts';
import type { ControllerContext, ManagerOptions, Runnable } from './context.ts';
import type { ManagerHealth } from './health.ts';
import type { ManagerMetrics } from './metrics.ts';
import { CONTROLLERS, MANAGER_ACCOUNT } from './registry.ts';
import { SharedParts, sharePod } from './shared-parts.ts';

const MANAGER = 'kube-controller-manager';

interface Deps {
  readonly client: Client;
  /** The client of a controller, by the name of its service account in kube-system. */
  readonly clientFor: (account: string) => Client;
  readonly clock: Clock;
  /** Measures how long leases last, whatever is done to the wall clock. */
  readonly steady: Clock;
  readonly log: Logger;
  readonly metrics: ManagerMetrics;
  readonly health: ManagerHealth;
}

export interface ControllerManagerOptions extends ManagerOptions {
  /** Names of the registry. */
  readonly controllers: readonly string[];
  /** Reconciles at the same time, where it is not the registry's number. */
  readonly workers: Readonly<Record<string, number>>;
  /** Absent: works without asking whether another manager does. */
  readonly leaderElection: LeaderElectionOptions | undefined;
}

/** Leads, then runs every controller until it is stopped or the lead is lost. */
export class ControllerManager {
  readonly #deps: Deps;
  readonly #options: ControllerManagerOptions;

  constructor(options: ControllerManagerOptions, deps: Deps) {
    this.#deps = deps;
    this.#options = options;
  }

  async run(signal: AbortSignal): Promise<void> {
    await whenServing(this.#deps, signal);
    if (signal.aborted) return;
    const events = new EventWriter(this.#deps, { component: MANAGER });
    const work = (lead: AbortSignal) => this.#work(events, lead);
    const lead = async () => {
      const { leaderElection } = this.#options;
      if (!leaderElection) return work(signal);
      const elector = new LeaderElector({ ...this.#deps, events }, leaderElection);
      return elector.run(signal, async (leading) => {
        this.#deps.metrics.leader.set({ name: MANAGER }, 1);
        await work(leading);
        this.#deps.metrics.leader.set({ name: MANAGER }, 0);
      });
    };
    await runAll(signal, [events.run(signal), lead()]);
  }

  async #work(events: EventWriter, signal: AbortSignal): Promise<void> {
    const { client, clock, log, metrics, health } = this.#deps;
    const { controllers } = this.#options;
    const parts = new SharedParts();
    const transform = <T>(type: ResourceType<T>, object: T): T =>
      type.resource === PODS.resource && type.group === PODS.group
        ? (sharePod(object as Pod, parts) as T)
        : object;
    const informers = new InformerFactory(client, { clock, log, transform });
    const running = controllers.map((name) => {
      const loops = this.#create(name, informers, events);
      metrics.running.set({ name, manager: MANAGER }, 1);
      return health.watch(name, Promise.all(loops.map((loop) => loop.run(signal))));
    });
    log.info({ controllers: controllers.length }, 'Started controllers');
    await runAll(signal, [informers.run(signal), ...running]);
  }

  #create(name: string, informers: InformerFactory, events: EventWriter): readonly Runnable[] {
    const registration = CONTROLLERS[name];
    if (!registration) throw new Error(`There is no controller ${name}`);
    const { client, clientFor, clock, log, metrics } = this.#deps;
    const { account } = registration;
    const context: ControllerContext = {
      client: account === MANAGER_ACCOUNT ? client : clientFor(account),
      informers,
      clock,
      log,
      options: this.#options,
      workers: this.#options.workers[name] ?? registration.workers ?? 1,
      events: (component) => events.as(component),
      observer: metrics.controllers,
    };
    return [registration.create(context)].flat();
  }
}
