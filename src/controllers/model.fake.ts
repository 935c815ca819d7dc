import { fc } from '../../test/support/properties.ts';
import { ApiError, conflict } from '../api/errors.ts';
import { isPodReady, isPodTerminal } from '../api/pods.ts';
import { PODS } from '../api/resource-types.ts';
import type { Pod } from '../api/types.ts';
import type { Action } from '../client/client.fake.ts';
import { type Clock, realClock } from '../util/clock.ts';
import type { ControllerFactory } from './context.ts';
import { LaggingClient } from './lagging-client.fake.ts';
import { World } from './world.fake.ts';

/** What becomes of a controller's write: answered, refused, refused as outdated, or done although the answer is lost. */
export type Fault = 'ok' | 'error' | 'conflict';

export interface Weather {
  /** One after the other, over and over. */
  readonly faults: readonly Fault[];
  /** Milliseconds by which each kind's watch is late. */
  readonly lags: readonly number[];
}

/** Weather in which something is answered now and then. */
export const weather: fc.Arbitrary<Weather> = fc.record({
  faults: fc
    .array(fc.constantFrom('ok', 'ok', 'error', 'conflict'), { minLength: 2, maxLength: 7 })
    .filter((faults) => faults.includes('ok')),
  lags: fc.array(fc.integer({ min: 0, max: 8 }), { minLength: 1, maxLength: 5 }),
});

const WRITES = new Set(['create', 'update', 'patch', 'delete', 'createSubresource']);

/** A Pod that looks like the workload's, and is somebody else's. */
export const FOREIGN = 'foreign';

/**
 * Controllers on an API server that refuses some writes and whose watches are late, with a kubelet that makes Pods run.
 * `watchOver` is called after each change that the controllers make to Pods.
 */
export class Stormy {
  readonly client: LaggingClient;
  readonly #factories: readonly ControllerFactory[];
  readonly #weather: Weather;
  readonly #clock: Clock;
  #world: World;
  #epoch = 0;
  #at = 0;
  #mine = false;
  #calm = false;
  #kubelet: Promise<void> = Promise.resolve();
  #running = true;
  /** What the Pods of the workload should do; `undefined`: run and be ready. */
  outcomeOf: (pod: Pod) => 'Succeeded' | 'Failed' | undefined = () => undefined;
  watchOver: () => void = () => {};

  constructor(factories: readonly ControllerFactory[], weather: Weather, clock: Clock = realClock) {
    this.#factories = factories;
    this.#clock = clock;
    this.#weather = weather;
    const { lags } = weather;
    this.client = new LaggingClient((resource) => lags[resource.length % lags.length] ?? 0);
    this.client.react((action) => this.#judge(action));
    this.#world = this.#newWorld();
  }

  get pods(): Pod[] {
    return this.client.all(PODS).filter(({ metadata }) => metadata.name !== FOREIGN);
  }

  get active(): Pod[] {
    return this.pods.filter((pod) => !isPodTerminal(pod) && !pod.metadata.deletionTimestamp);
  }

  get ready(): Pod[] {
    return this.active.filter(isPodReady);
  }

  /** A change by the test itself: never refused. */
  async do<T>(change: () => Promise<T>): Promise<T> {
    this.#mine = true;
    const work = change(); // the fake asks its reactors before it first waits
    this.#mine = false;
    return work;
  }

  start(): void {
    this.#world.start(this.#factories);
    this.#kubelet = this.#runPods();
  }

  /** The manager dies, in the middle of whatever it does, and another one takes over. */
  async restart(): Promise<void> {
    const old = this.#world;
    this.#world = this.#newWorld();
    const stopped = old.stop();
    this.#world.start(this.#factories);
    await stopped;
  }

  /** Each manager has a connection of its own, which dies with it: nothing that it still wanted to write arrives. */
  #newWorld(): World {
    const epoch = ++this.#epoch;
    const isDead = () => epoch !== this.#epoch;
    const connection = new Proxy(this.client, {
      get(client, name) {
        const member: unknown = Reflect.get(client, name, client);
        if (typeof member !== 'function') return member;
        return (...args: unknown[]) => {
          if (isDead() && WRITES.has(String(name))) return Promise.reject(new Error('dead'));
          return member.apply(client, args);
        };
      },
    });
    return new World(connection, this.#clock);
  }

  /** The weather that it was made for, again. */
  storm(): void {
    this.#calm = false;
  }

  /** Waits, in fair weather from now on, until the model's state is reached. */
  async settle(check: () => unknown): Promise<void> {
    this.#calm = true;
    await this.#world.until(check);
  }

  async stop(): Promise<void> {
    this.#running = false;
    await this.#kubelet;
    await this.#world.stop();
  }

  #judge(action: Action): Error | undefined {
    if (this.#mine) return undefined;
    if (action.key.endsWith(`/${FOREIGN}`)) {
      throw new Error(`A controller reached for a Pod that is not its: ${action.verb}`);
    }
    const { faults } = this.#weather;
    const fault = this.#calm ? 'ok' : faults[this.#at++ % faults.length];
    if (fault === 'error') return new ApiError('InternalError', 'injected');
    if (fault === 'conflict' && action.verb !== 'create' && action.verb !== 'delete') {
      return conflict({ group: '', resource: action.resource }, action.key, 'injected');
    }
    queueMicrotask(() => this.watchOver());
    return undefined;
  }

  async #runPods(): Promise<void> {
    while (this.#running) {
      for (const pod of this.pods.filter((one) => one.status?.phase === undefined)) {
        const phase = this.outcomeOf(pod) ?? 'Running';
        const ready = phase === 'Running';
        const now = new Date().toISOString();
        const condition = {
          type: 'Ready',
          status: ready ? 'True' : 'False',
          lastTransitionTime: now,
        };
        const status = { phase, podIP: '10.0.0.1', conditions: [condition] };
        const key = { namespace: pod.metadata.namespace, name: pod.metadata.name };
        const body = { metadata: { uid: pod.metadata.uid }, status };
        const how = { subresource: 'status' };
        const patch = { type: 'merge', body } as const;
        await this.do(() => this.client.patch(PODS, key, patch, how)).catch(() => {});
      }
      await realClock.sleep(2);
    }
  }
}
