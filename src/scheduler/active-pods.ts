import { KeyedHeap } from '../util/heap.ts';
import type { QueuedPod } from './queued-pod.ts';

type Less = (a: QueuedPod, b: QueuedPod) => boolean;

/**
 * Pods that are ready to be tried, in the order of the QueueSort plugin. Among equal priorities those that come for
 * the first time and those that were refused before take turns: neither do thousands that one event has woken, and
 * that find no node again, keep a new one waiting, nor do ever new ones keep back who has waited.
 */
export class ActivePods {
  readonly #less: Less;
  readonly #fresh: KeyedHeap<QueuedPod>;
  readonly #retried: KeyedHeap<QueuedPod>;
  #retriedNext = false;

  constructor(less: Less) {
    this.#less = less;
    this.#fresh = new KeyedHeap((pod) => pod.info.uid, less);
    this.#retried = new KeyedHeap((pod) => pod.info.uid, less);
  }

  get size(): number {
    return this.#fresh.size + this.#retried.size;
  }

  get(uid: string): QueuedPod | undefined {
    return this.#fresh.get(uid) ?? this.#retried.get(uid);
  }

  set(pod: QueuedPod): void {
    (pod.attempts === 0 ? this.#fresh : this.#retried).set(pod);
  }

  delete(uid: string): QueuedPod | undefined {
    return this.#fresh.delete(uid) ?? this.#retried.delete(uid);
  }

  pop(): QueuedPod | undefined {
    const fresh = this.#fresh.peek();
    const retried = this.#retried.peek();
    if (!fresh || !retried) return this.#fresh.pop() ?? this.#retried.pop();
    if (fresh.info.priority !== retried.info.priority) {
      return (this.#less(fresh, retried) ? this.#fresh : this.#retried).pop();
    }
    this.#retriedNext = !this.#retriedNext;
    return (this.#retriedNext ? this.#fresh : this.#retried).pop();
  }

  *values(): Generator<QueuedPod> {
    yield* this.#fresh.values();
    yield* this.#retried.values();
  }
}
