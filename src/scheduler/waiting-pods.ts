import type { Clock } from '../util/clock.ts';
import { type Status, unschedulable } from './status.ts';

/** A Pod that Permit plugins hold back. */
interface Waiting {
  readonly plugins: Set<string>;
  readonly cancels: (() => void)[];
  readonly decided: PromiseWithResolvers<Status | undefined>;
}

/** Longest time that a Permit plugin may hold a Pod (upstream maxTimeout). */
const MAX_WAIT_MS = 15 * 60_000;

/** Pods with a node that wait for the word of Permit plugins, each with its own time limit. */
export class WaitingPods {
  readonly #clock: Clock;
  readonly #waiting = new Map<string, Waiting>();

  constructor(deps: { clock: Clock }) {
    this.#clock = deps.clock;
  }

  has(uid: string): boolean {
    return this.#waiting.has(uid);
  }

  /** Holds the Pod until every plugin has allowed it; the answer is why not, if not. */
  wait(uid: string, timeouts: ReadonlyMap<string, number>): Promise<Status | undefined> {
    const decided = Promise.withResolvers<Status | undefined>();
    const cancels = [...timeouts].map(([plugin, ms]) =>
      this.#clock.after(Math.min(ms, MAX_WAIT_MS), () =>
        this.reject(
          uid,
          plugin,
          `rejected due to timeout after waiting ${ms}ms at plugin ${plugin}`,
        ),
      ),
    );
    this.#waiting.set(uid, { plugins: new Set(timeouts.keys()), cancels, decided });
    return decided.promise;
  }

  /** One plugin has no objection any more. */
  allow(uid: string, plugin: string): void {
    const pod = this.#waiting.get(uid);
    if (!pod) return;
    pod.plugins.delete(plugin);
    if (pod.plugins.size === 0) this.#end(uid, undefined);
  }

  reject(uid: string, plugin: string, message: string): void {
    this.#end(uid, { ...unschedulable(message), plugin });
  }

  /** Nobody will say a word any more. */
  close(): void {
    for (const uid of [...this.#waiting.keys()]) this.reject(uid, '', 'the scheduler is stopping');
  }

  #end(uid: string, status: Status | undefined): void {
    const pod = this.#waiting.get(uid);
    if (!pod) return;
    this.#waiting.delete(uid);
    for (const cancel of pod.cancels) cancel();
    pod.decided.resolve(status);
  }
}
