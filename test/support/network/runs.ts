interface Waiting {
  readonly isSeen: () => boolean;
  readonly resolve: () => void;
}

/** Runs that each act on what they find when they begin: one that is under way when something changes does not count for it. */
export class Runs {
  readonly #waiting = new Set<Waiting>();

  /** Resolves when a run has succeeded at whose beginning this held. */
  since(isSeen: () => boolean): Promise<void> {
    return new Promise((resolve) => this.#waiting.add({ isSeen, resolve }));
  }

  /** A run begins; what it answers is to be called when the run has succeeded. */
  begin(): () => void {
    const acted = [...this.#waiting].filter(({ isSeen }) => isSeen());
    return () => {
      for (const waiting of acted) {
        this.#waiting.delete(waiting);
        waiting.resolve();
      }
    };
  }
}
