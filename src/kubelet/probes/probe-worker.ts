import type { Probe } from '../../api/types.ts';
import type { Clock } from '../../util/clock.ts';
import type { ProbeOutcome } from './probe-runner.ts';

export type ProbeKind = 'liveness' | 'readiness' | 'startup';

export interface ProbeWorkerDeps {
  clock: Clock;
  run(signal: AbortSignal): Promise<ProbeOutcome>;
  /** Held back: a startup probe has not passed yet. */
  held(): boolean;
  /** One run that did not succeed. */
  onTrouble(outcome: ProbeOutcome): void;
  /** The verdict changed. */
  onVerdict(passed: boolean): void;
}

const TRIES_ON_ERROR = 3;
// Probes that are due within so many milliseconds run at once: each time the process wakes up costs as much as a probe.
const STEP_MS = 20;

/** Runs one probe of one container again and again, and turns runs into a verdict by the thresholds. */
export class ProbeWorker {
  readonly #probe: Probe;
  readonly #kind: ProbeKind;
  readonly #deps: ProbeWorkerDeps;
  readonly #stop = new AbortController();
  #cancelTimer: () => void = () => {};
  #isDue = false;
  #last: boolean | undefined;
  #alike = 0;
  /** `undefined` until the first verdict. */
  verdict: boolean | undefined;

  constructor(kind: ProbeKind, probe: Probe, deps: ProbeWorkerDeps) {
    this.#kind = kind;
    this.#probe = probe;
    this.#deps = deps;
  }

  /** `firstDelayMs` from now until the first run. */
  start(firstDelayMs: number): void {
    this.#cancelTimer = this.#deps.clock.after(firstDelayMs, () => {
      this.#isDue = true;
      void this.#tick();
    });
  }

  /** It is not held back any more: it runs now rather than a period later, unless its first run is still to come. */
  release(): void {
    if (!this.#isDue || this.#stop.signal.aborted) return;
    this.#cancelTimer();
    this.start(0);
  }

  stop(): void {
    this.#cancelTimer();
    this.#stop.abort();
  }

  async #tick(): Promise<void> {
    const { signal } = this.#stop;
    const period = (this.#probe.periodSeconds ?? 10) * 1000;
    if (signal.aborted) return;
    const began = this.#deps.clock.now();
    try {
      if (!this.#deps.held()) await this.#runOnce(signal);
    } catch (err) {
      if (!signal.aborted) throw err;
    }
    if (signal.aborted) return;
    if (this.#hasEnded()) return;
    const now = this.#deps.clock.now();
    // Within bounds also when the clock was set meanwhile.
    const wait = Math.min(period, Math.max(0, began + period - now));
    this.start(Math.max(0, Math.round((now + wait) / STEP_MS) * STEP_MS - now));
  }

  /** A startup probe ends with its verdict, a liveness probe with a bad one: the container that ends is not asked more. */
  #hasEnded(): boolean {
    if (this.#kind === 'startup') return this.verdict !== undefined;
    return this.#kind === 'liveness' && this.verdict === false;
  }

  async #runOnce(signal: AbortSignal): Promise<void> {
    let outcome: ProbeOutcome = { result: 'error', message: '' };
    for (let tries = 0; tries < TRIES_ON_ERROR && outcome.result === 'error'; tries++) {
      outcome = await this.#deps.run(signal);
    }
    if (signal.aborted) return;
    if (outcome.result !== 'success') this.#deps.onTrouble(outcome);
    if (outcome.result === 'error') return;
    this.#count(outcome.result !== 'failure');
  }

  #count(passed: boolean): void {
    this.#alike = this.#last === passed ? this.#alike + 1 : 1;
    this.#last = passed;
    const { successThreshold = 1, failureThreshold = 3 } = this.#probe;
    if (this.#alike < (passed ? successThreshold : failureThreshold)) return;
    if (this.verdict === passed) return;
    this.verdict = passed;
    this.#deps.onVerdict(passed);
  }
}
