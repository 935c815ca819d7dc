import type { Pod } from '../api/types.ts';
import type { EventRecorder, Informer } from '../client/client.ts';
import type { Clock } from '../util/clock.ts';
import type { Logger } from '../util/log.ts';
import type { CycleState } from './cycle-state.ts';
import type { DecisionRecord } from './decisions.ts';
import { type Diagnosis, diagnose, fitErrorMessage } from './fit-error.ts';
import type { SchedulerMetrics } from './metrics.ts';
import type { Nominator } from './nominator.ts';
import { PodInfo } from './pod-info.ts';
import type { PodStatusWriter } from './pod-status.ts';
import type { Profile } from './profile.ts';
import type { SchedulingQueue } from './queue.ts';
import type { QueuedPod } from './queued-pod.ts';
import type { Snapshot } from './snapshot.ts';
import { isRejection, type Status, statusMessage } from './status.ts';

export interface FailureDeps {
  readonly pods: Informer<Pod>;
  readonly queue: SchedulingQueue;
  readonly nominator: Nominator;
  readonly statusWriter: PodStatusWriter;
  readonly events: EventRecorder;
  readonly metrics: SchedulerMetrics;
  readonly clock: Clock;
  readonly log: Logger;
  readonly decisions: DecisionRecord;
}

/** Longest message of an Event (upstream NoteLengthLimit). */
const MAX_NOTE = 1024;

interface Failure {
  readonly reason: 'Unschedulable' | 'SchedulerError';
  readonly message: string;
  readonly startedAt: number;
  /** Undefined leaves the nomination alone; empty takes it back. */
  readonly nominatedNode?: string;
  readonly diagnosis?: Diagnosis;
}

/** What happens to a Pod that could not be placed: a way out is looked for, people are told, and it goes back to the queue. */
export class FailureHandler {
  readonly #deps: FailureDeps;

  constructor(deps: FailureDeps) {
    this.#deps = deps;
  }

  noNodes(profile: Profile, pod: QueuedPod, startedAt: number): void {
    this.#end(profile, pod, {
      reason: 'Unschedulable',
      message: 'no nodes available to schedule pods',
      startedAt,
      nominatedNode: '',
    });
  }

  /** No node fits: asks the PostFilter plugins to make one fit. */
  async unschedulable(
    profile: Profile,
    pod: QueuedPod,
    found: {
      state: CycleState;
      snapshot: Snapshot;
      diagnosis: Diagnosis;
      startedAt: number;
    },
  ): Promise<void> {
    const { state, snapshot, diagnosis, startedAt } = found;
    let nominatedNode: string | undefined;
    if (profile.points.postFilter.length > 0) {
      const result = await profile.postFilter({
        ...{ state, snapshot },
        pod: pod.info,
        rejections: diagnosis.rejections,
      });
      diagnosis.postFilterMessage = result.status ? statusMessage(result.status) : '';
      nominatedNode = result.nominatedNode;
      if (result.status && !isRejection(result.status)) {
        this.#deps.log.error({ pod: pod.info.key }, 'A PostFilter plugin failed');
      }
    }
    pod.rejectedBy = diagnosis.rejectedBy;
    pod.pendingOn = diagnosis.pendingOn;
    this.#end(profile, pod, {
      reason: 'Unschedulable',
      message: fitErrorMessage(diagnosis),
      startedAt,
      diagnosis,
      ...(nominatedNode === undefined ? {} : { nominatedNode }),
    });
  }

  /** A node was found, but Reserve or Permit said no. */
  rejected(
    profile: Profile,
    pod: QueuedPod,
    { nodeName, status, startedAt }: { nodeName: string; status: Status; startedAt: number },
  ): void {
    const diagnosis = diagnose(1, { rejections: new Map([[nodeName, status]]) });
    pod.rejectedBy = diagnosis.rejectedBy;
    pod.pendingOn = diagnosis.pendingOn;
    const message = fitErrorMessage(diagnosis);
    this.#end(profile, pod, {
      ...{ reason: 'Unschedulable' as const, message, startedAt, nominatedNode: '', diagnosis },
    });
  }

  /** Something broke; the Pod is tried again after a back-off. */
  failed(profile: Profile, pod: QueuedPod, status: Status, startedAt?: number): void {
    const prefix = status.plugin ? `running ${JSON.stringify(status.plugin)}: ` : '';
    this.#end(profile, pod, {
      reason: 'SchedulerError',
      message: `${prefix}${statusMessage(status)}`,
      startedAt: startedAt ?? this.#deps.clock.now(),
      nominatedNode: '',
    });
  }

  #record(profile: Profile, pod: QueuedPod, failure: Failure): void {
    const { reason, message, nominatedNode, diagnosis } = failure;
    this.#deps.decisions.add({
      ...pod.info.pod.metadata,
      ...{ profile: profile.name, attempt: pod.attempts, message, node: nominatedNode },
      outcome: reason === 'Unschedulable' ? 'unschedulable' : 'failed',
      nodeCount: diagnosis?.nodeCount ?? 0,
      rejections: diagnosis?.rejections ?? new Map(),
    });
  }

  #end(profile: Profile, pod: QueuedPod, failure: Failure): void {
    const { clock, events, log, metrics, pods, queue } = this.#deps;
    const { reason, message, startedAt, nominatedNode } = failure;
    const outcome = reason === 'Unschedulable' ? 'unschedulable' : 'error';
    metrics.attempt(outcome, profile.name, (clock.now() - startedAt) / 1000);
    log.debug({ pod: pod.info.key, reason: message }, 'Pod not placed');
    this.#record(profile, pod, failure);
    const current = pods.get(pod.info.pod.metadata);
    if (!current || current.metadata.uid !== pod.info.uid || current.spec?.nodeName) {
      queue.done(pod.info.uid); // gone, or bound by someone: nothing to try again
      return;
    }
    if (current !== pod.info.pod) pod.info = new PodInfo(current);
    if (nominatedNode !== undefined) this.#deps.nominator.nominate(pod.info, nominatedNode);
    queue.giveBack(pod);
    events.event(current, 'Warning', 'FailedScheduling', truncate(message));
    this.#deps.statusWriter.write(current, { reason, message }, nominatedNode);
  }
}

function truncate(message: string): string {
  return message.length <= MAX_NOTE ? message : `${message.slice(0, MAX_NOTE - 4)} ...`;
}
