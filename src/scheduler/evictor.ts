import { isNotFound } from '../api/errors.ts';
import { PODS } from '../api/resource-types.ts';
import type { Client, EventRecorder } from '../client/client.ts';
import type { Clock } from '../util/clock.ts';
import { errorMessage } from '../util/errors.ts';
import type { Logger } from '../util/log.ts';
import type { Nominator } from './nominator.ts';
import type { PodInfo } from './pod-info.ts';
import type { PodStatusWriter } from './pod-status.ts';
import type { Victims } from './victims.ts';

export interface EvictorDeps {
  readonly client: Client;
  readonly events: EventRecorder;
  readonly nominator: Nominator;
  readonly statusWriter: PodStatusWriter;
  /** Tries these Pods again now. */
  readonly activate: (uids: Iterable<string>) => void;
  readonly clock: Clock;
  readonly log: Logger;
}

/** Evicts the victims of preemption beside the scheduling of other Pods. */
export class Evictor {
  readonly #deps: EvictorDeps;
  readonly #busyFor = new Set<string>();
  readonly #running = new Set<Promise<void>>();

  constructor(deps: EvictorDeps) {
    this.#deps = deps;
  }

  /** True until the last eviction for that Pod is under way: its deletion then wakes the Pod. */
  isBusyFor(uid: string): boolean {
    return this.#busyFor.has(uid);
  }

  start(preemptor: PodInfo, victims: Victims): void {
    this.#busyFor.add(preemptor.uid);
    this.#clearNominations(preemptor, victims.nodeName);
    const running = this.#evictAll(preemptor, victims).finally(() => {
      this.#busyFor.delete(preemptor.uid);
      this.#running.delete(running);
    });
    this.#running.add(running);
  }

  async idle(): Promise<void> {
    await Promise.all(this.#running);
  }

  /** Pods of lower priority that were promised the node must look for another. */
  #clearNominations(preemptor: PodInfo, nodeName: string): void {
    const { nominator, statusWriter, activate } = this.#deps;
    const lower = nominator.on(nodeName).filter((other) => other.priority < preemptor.priority);
    for (const other of lower) {
      nominator.remove(other.uid);
      statusWriter.write(other.pod, undefined, '');
    }
    activate(lower.map((other) => other.uid));
  }

  async #evictAll(preemptor: PodInfo, { pods, nodeName }: Victims): Promise<void> {
    const { activate, log } = this.#deps;
    const [last, ...others] = pods.toReversed();
    try {
      await Promise.all(others.map((victim) => this.#evict(preemptor, victim, nodeName)));
      this.#busyFor.delete(preemptor.uid);
      // A victim that is gone already sends no event that would wake the Pod.
      if (last && !(await this.#evict(preemptor, last, nodeName))) activate([preemptor.uid]);
    } catch (err) {
      this.#busyFor.delete(preemptor.uid);
      log.warn({ pod: preemptor.key, err: errorMessage(err) }, 'Cannot evict for a Pod');
      activate([preemptor.uid]);
    }
  }

  /** False when the victim was gone already. */
  async #evict(preemptor: PodInfo, victim: PodInfo, nodeName: string): Promise<boolean> {
    const { client, events } = this.#deps;
    const { namespace, uid, pod } = victim;
    const key = { namespace, name: pod.metadata.name };
    try {
      if (pod.metadata.deletionTimestamp === undefined) {
        const body = {
          metadata: { uid },
          status: { conditions: [this.#condition(preemptor, pod.metadata.generation)] },
        };
        await client.patch(PODS, key, { type: 'strategic', body }, { subresource: 'status' });
      }
      await client.delete(PODS, key, { preconditions: { uid } });
    } catch (err) {
      if (isNotFound(err)) return false;
      throw err;
    }
    const message = `Preempted by pod ${preemptor.uid} on node ${nodeName}`;
    events.event(pod, 'Normal', 'Preempted', message);
    return true;
  }

  #condition({ pod }: PodInfo, generation: number | undefined): object {
    const scheduler = pod.spec?.schedulerName ?? 'default-scheduler';
    return {
      type: 'DisruptionTarget',
      status: 'True',
      reason: 'PreemptionByScheduler',
      message: `${scheduler}: preempting to accommodate a higher priority pod`,
      ...(generation === undefined ? {} : { observedGeneration: generation }),
      lastTransitionTime: new Date(this.#deps.clock.now()).toISOString().replace(/\.\d+Z$/, 'Z'),
    };
  }
}
