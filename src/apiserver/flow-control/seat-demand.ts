import type { Clock } from '../../util/clock.ts';

/** What a level asked for within a period: its seats in use and those that were waited for. */
export interface Demand {
  readonly high: number;
  readonly average: number;
  readonly deviation: number;
}

/** Integrates a number of seats over time. */
export class SeatDemand {
  readonly #clock: Clock;
  #current = 0;
  #since: number;
  #began: number;
  #high = 0;
  #sum = 0;
  #squares = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#since = clock.now();
    this.#began = this.#since;
  }

  set(seats: number): void {
    if (seats === this.#current) return;
    this.#integrate();
    this.#current = seats;
    this.#high = Math.max(this.#high, seats);
  }

  /** The demand since the last question. */
  take(): Demand {
    this.#integrate();
    const elapsed = this.#since - this.#began;
    const average = elapsed > 0 ? this.#sum / elapsed : this.#current;
    const variance = elapsed > 0 ? this.#squares / elapsed - average * average : 0;
    const taken = { high: this.#high, average, deviation: Math.sqrt(Math.max(variance, 0)) };
    this.#began = this.#since;
    this.#high = this.#current;
    this.#sum = 0;
    this.#squares = 0;
    return taken;
  }

  #integrate(): void {
    const now = this.#clock.now();
    const elapsed = now - this.#since;
    this.#sum += elapsed * this.#current;
    this.#squares += elapsed * this.#current * this.#current;
    this.#since = now;
  }
}
