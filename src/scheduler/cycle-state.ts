/** What a plugin keeps between its extension points. `clone` is called before "what if" questions change it. */
export interface PluginState {
  clone(): PluginState;
}

/** The memory of one Pod's scheduling cycle: each plugin under its own name. */
export class CycleState {
  readonly #states = new Map<string, PluginState>();
  /** Plugins whose PreFilter or PreScore said that this Pod is none of their business. */
  readonly skipFilter: Set<string>;
  readonly skipScore = new Set<string>();

  constructor(skipFilter: Iterable<string> = []) {
    this.skipFilter = new Set(skipFilter);
  }

  write(plugin: string, state: PluginState): void {
    this.#states.set(plugin, state);
  }

  read<T extends PluginState>(plugin: string): T | undefined {
    return this.#states.get(plugin) as T | undefined;
  }

  clone(): CycleState {
    const copy = new CycleState(this.skipFilter);
    for (const [plugin, state] of this.#states) copy.#states.set(plugin, state.clone());
    return copy;
  }
}
