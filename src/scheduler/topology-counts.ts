import type { NodeInfo } from './node-info.ts';

/** A number for each topology domain: for each value of each topology key. */
export class TopologyCounts {
  readonly #byKey = new Map<string, Map<string, number>>();

  /** How many domains have a number other than zero. */
  get size(): number {
    let size = 0;
    for (const values of this.#byKey.values()) size += values.size;
    return size;
  }

  /** Adds to the node's domain; a node without the label is in none. */
  add(node: NodeInfo, topologyKey: string, by: number): void {
    const value = node.labels[topologyKey];
    if (value === undefined) return;
    let values = this.#byKey.get(topologyKey);
    if (!values) {
      values = new Map();
      this.#byKey.set(topologyKey, values);
    }
    const count = (values.get(value) ?? 0) + by;
    if (count === 0) values.delete(value);
    else values.set(value, count);
  }

  at(node: NodeInfo, topologyKey: string): number {
    const value = node.labels[topologyKey];
    return value === undefined ? 0 : (this.#byKey.get(topologyKey)?.get(value) ?? 0);
  }

  /** Whether any domain of the node has a positive number. */
  anyAt(node: NodeInfo): boolean {
    for (const [key, values] of this.#byKey) {
      const value = node.labels[key];
      if (value !== undefined && (values.get(value) ?? 0) > 0) return true;
    }
    return false;
  }

  /** The sum over all domains of the node. */
  sumAt(node: NodeInfo): number {
    let sum = 0;
    for (const key of this.#byKey.keys()) sum += this.at(node, key);
    return sum;
  }

  copy(): TopologyCounts {
    const copy = new TopologyCounts();
    for (const [key, values] of this.#byKey) copy.#byKey.set(key, new Map(values));
    return copy;
  }
}
