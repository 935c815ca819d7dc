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
    // A startup probe ends with its success; it is not asked again.
    if (this.#kind === 'startup' && this.verdict === true) return;
    const took = this.#deps.clock.now() - began;
    // Within bounds also when the clock was set meanwhile.
    this.start(Math.min(period, Math.max(0, period - took)));
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
