import { isNotFound } from '../api/errors.ts';
import { PODS } from '../api/resource-types.ts';
import type { Pod } from '../api/types.ts';
import type { Client } from '../client/client.ts';
import type { Clock } from '../util/clock.ts';
import { errorMessage } from '../util/errors.ts';
import type { Logger } from '../util/log.ts';
import { Limiter } from './limiter.ts';

export interface UnscheduledCondition {
  readonly reason: 'Unschedulable' | 'SchedulerError';
  readonly message: string;
}

interface Wanted {
  readonly pod: Pod;
  condition?: UnscheduledCondition;
  /** Empty: no node is nominated any more. */
  nominatedNode?: string;
}

const AT_ONCE = 8;

/**
 * Writes what the scheduler has to say about Pods that wait: the PodScheduled condition and the nominated node.
 * Later words about a Pod replace earlier ones that are not written yet, so a slow API server is not flooded.
 */
export class PodStatusWriter {
  readonly #deps: { client: Client; clock: Clock; log: Logger };
  readonly #limiter = new Limiter(AT_ONCE);
  readonly #wanted = new Map<string, Wanted>();

  constructor(deps: { client: Client; clock: Clock; log: Logger }) {
    this.#deps = deps;
  }

  /** `nominatedNode` undefined leaves it as it is. */
  write(pod: Pod, condition: UnscheduledCondition | undefined, nominatedNode?: string): void {
    const { uid } = pod.metadata;
    const earlier = this.#wanted.get(uid);
    this.#wanted.set(uid, {
      ...earlier,
      pod,
      ...(condition ? { condition } : {}),
      ...(nominatedNode === undefined ? {} : { nominatedNode }),
    });
    if (!earlier) this.#limiter.start(() => this.#flush(uid));
  }

  /** The Pod is bound or gone: nothing is left to say. */
  forget(uid: string): void {
    this.#wanted.delete(uid);
  }

  idle(): Promise<void> {
    return this.#limiter.idle();
  }

  async #flush(uid: string): Promise<void> {
    const wanted = this.#wanted.get(uid);
    this.#wanted.delete(uid);
    const status = wanted && statusPatch(wanted, this.#deps.clock.now());
    if (!wanted || !status) return;
    const { namespace, name } = wanted.pod.metadata;
    try {
      const patch = { type: 'strategic' as const, body: { metadata: { uid }, status } };
      await this.#deps.client.patch(PODS, { namespace, name }, patch, { subresource: 'status' });
    } catch (err) {
      if (isNotFound(err)) return;
      this.#deps.log.warn(
        { pod: `${namespace}/${name}`, err: errorMessage(err) },
        'Cannot write the status of a Pod',
      );
    }
  }
}

/** What of `wanted` the Pod does not say yet, as a strategic merge patch of its status. */
export function statusPatch(wanted: Wanted, now: number): object | undefined {
  const { pod, condition, nominatedNode } = wanted;
  const patch: Record<string, unknown> = {};
  const changed = condition && changedCondition(pod, condition, now);
  if (changed) patch.conditions = [changed];
  if (nominatedNode !== undefined && nominatedNode !== (pod.status?.nominatedNodeName ?? '')) {
    patch.nominatedNodeName = nominatedNode === '' ? null : nominatedNode;
  }
  return Object.keys(patch).length > 0 ? patch : undefined;
}

function changedCondition(
  pod: Pod,
  { reason, message }: UnscheduledCondition,
  now: number,
): object | undefined {
  const before = pod.status?.conditions?.find((c) => c.type === 'PodScheduled');
  const same = before?.status === 'False' && before.reason === reason && before.message === message;
  if (same) return undefined;
  const at = new Date(now).toISOString().replace(/\.\d+Z$/, 'Z');
  return {
    type: 'PodScheduled',
    status: 'False',
    reason,
    message,
    ...(pod.metadata.generation === undefined
      ? {}
      : { observedGeneration: pod.metadata.generation }),
    lastProbeTime: null,
    lastTransitionTime: before?.status === 'False' ? (before.lastTransitionTime ?? at) : at,
  };
}
