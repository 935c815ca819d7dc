/** Whether each controller is at work: what /healthz/NAME answers. */
export class ManagerHealth {
  readonly #state = new Map<string, 'running' | 'ended'>();

  /** Every controller is healthy until its loop ends without having been told to. */
  watch<T>(name: string, loop: Promise<T>): Promise<T> {
    this.#state.set(name, 'running');
    return loop.finally(() => this.#state.set(name, 'ended'));
  }

  /** A manager that waits for the lead has no controllers and is healthy. */
  get checks(): { name: string; check: () => void }[] {
    return [...this.#state].map(([name, state]) => ({
      name,
      check: () => {
        if (state === 'ended') throw new Error(`The controller ${name} has ended`);
      },
    }));
  }
}
