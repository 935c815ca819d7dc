import type { Pod } from '../api/types.ts';
import type { Logind } from '../host/logind.ts';
import type { Clock } from '../util/clock.ts';
import { errorMessage } from '../util/errors.ts';
import type { Logger } from '../util/log.ts';
import { isCriticalPod } from './critical-pods.ts';
import { gracePeriodOf } from './names.ts';
import type { Failure } from './pod-state.ts';

export interface NodeShutdownDeps {
  logind: Logind;
  clock: Clock;
  log: Logger;
  /** Pods that run or are to run. */
  pods(): readonly Pod[];
  end(uid: string, failure: Failure): void;
  /** Whether the pod's containers have ended. */
  isOver(uid: string): boolean;
  /** Resolves when the API server knows how the pods ended. */
  told(): Promise<void>;
  /** The node's conditions have to be told anew. */
  onChange(): void;
}

export interface NodeShutdownOptions {
  /** shutdownGracePeriod; 0: the machine is not asked to wait. */
  totalMs: number;
  /** shutdownGracePeriodCriticalPods: the part of it that is kept for critical pods. */
  criticalMs: number;
}

const LOOK_MS = 250;
// How long the machine waits for an API server that may be gone.
const TELL_MS = 2000;
// A bus that went away may come back.
const RETRY_MS = 10_000;
const REASON = 'Terminated';
const MESSAGE = 'Pod was terminated in response to imminent node shutdown.';

/**
 * Ends pods in order when the machine is shut down: ordinary ones first, then those that the node lives on.
 * https://kubernetes.io/docs/concepts/cluster-administration/node-shutdown/#graceful-node-shutdown
 */
export class NodeShutdown {
  readonly #deps: NodeShutdownDeps;
  readonly #options: NodeShutdownOptions;
  #shuttingDown = false;

  constructor(deps: NodeShutdownDeps, options: NodeShutdownOptions) {
    this.#deps = deps;
    this.#options = options;
    if (options.criticalMs > options.totalMs) {
      throw new Error('shutdownGracePeriodCriticalPods must not be above shutdownGracePeriod');
    }
  }

  /** Why the node is not ready. */
  get problems(): string[] {
    return this.#shuttingDown ? ['node is shutting down'] : [];
  }

  /** Why no pod is started any more. */
  refusal(): Failure | undefined {
    if (!this.#shuttingDown) return undefined;
    return {
      reason: 'NodeShutdown',
      message: 'Pod was rejected as the node is shutting down.',
    };
  }

  /** Throws by name where the machine cannot be asked to wait. */
  async check(): Promise<void> {
    const { totalMs } = this.#options;
    if (totalMs === 0) return;
    const { logind } = this.#deps;
    try {
      if ((await logind.longestDelay()) < totalMs) await logind.setLongestDelay(totalMs);
    } catch (err) {
      throw new Error(
        `shutdownGracePeriod: no systemd-logind can be asked to delay a shutdown: ${errorMessage(err)}`,
        { cause: err },
      );
    }
  }

  /** Works until aborted. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, log } = this.#deps;
    if (this.#options.totalMs === 0) return;
    while (!signal.aborted) {
      try {
        await this.#watch(signal);
      } catch (err) {
        log.warn({ err: errorMessage(err) }, 'Cannot hear of shutdowns');
      }
      await clock.sleep(RETRY_MS, signal).catch(() => {});
    }
  }

  async #watch(signal: AbortSignal): Promise<void> {
    const { logind, clock, log, onChange, told } = this.#deps;
    const hold = (): (() => void) =>
      logind.delayShutdown('kubelet', 'Kubelet needs time to handle node shutdown');
    let release = hold();
    try {
      for await (const begins of logind.shutdowns(signal)) {
        if (begins === this.#shuttingDown) continue;
        this.#shuttingDown = begins;
        onChange();
        log.info({ begins }, begins ? 'The node is shut down' : 'The shutdown was called off');
        if (begins) {
          await this.#endPods(signal);
          await Promise.race([told(), clock.sleep(TELL_MS, signal)]);
        }
        release();
        if (!begins) release = hold();
      }
    } finally {
      release();
    }
  }

  async #endPods(signal: AbortSignal): Promise<void> {
    const { totalMs, criticalMs } = this.#options;
    const all = this.#deps.pods();
    const critical = all.filter(isCriticalPod);
    await this.#endAll(
      all.filter((pod) => !isCriticalPod(pod)),
      totalMs - criticalMs,
      signal,
    );
    await this.#endAll(critical, criticalMs, signal);
  }

  /** Ends these pods and waits for them, no longer than they are given. */
  async #endAll(pods: readonly Pod[], graceMs: number, signal: AbortSignal): Promise<void> {
    const { clock, end, isOver } = this.#deps;
    const deadline = clock.now() + graceMs;
    for (const pod of pods) {
      const gracePeriod = Math.min(gracePeriodOf(pod), Math.floor(graceMs / 1000));
      end(pod.metadata.uid, { reason: REASON, message: MESSAGE, gracePeriod, disruption: true });
    }
    while (clock.now() < deadline && !pods.every((pod) => isOver(pod.metadata.uid))) {
      if (signal.aborted) return;
      await clock.sleep(LOOK_MS, signal).catch(() => {});
    }
  }
}
