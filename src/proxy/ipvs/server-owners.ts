import { serverOf } from './commands.ts';
import type { IpvsElement } from './service-rules.ts';

/**
 * Of two service ports that claim one virtual server (by a mistake: a node port or an external address twice) the first
 * has it until it goes; their endpoints are never mixed.
 */
export class ServerOwners {
  /** Service ports by the virtual server that they have. */
  readonly #owners = new Map<string, string>();
  readonly #denied = new Set<string>();
  #freed = false;

  /** All virtual servers that somebody has. */
  get servers(): ReadonlyMap<string, string> {
    return this.#owners;
  }

  /** What of `wanted` service port `id` may have, which `had` these. */
  grant(id: string, wanted: IpvsElement[], had: readonly IpvsElement[]): IpvsElement[] {
    const keys = serverKeys(wanted);
    for (const key of serverKeys(had)) {
      if (keys.includes(key)) continue;
      this.#owners.delete(key);
      this.#freed = true;
    }
    const lost = new Set(keys.filter((key) => (this.#owners.get(key) ?? id) !== id));
    for (const key of keys) if (!lost.has(key)) this.#owners.set(key, id);
    if (lost.size === 0) {
      this.#denied.delete(id);
      return wanted;
    }
    this.#denied.add(id);
    return wanted.filter(({ set, key }) => {
      return !(lost.has(key) || (set === 'destination' && lost.has(serverOf(key))));
    });
  }

  /** Service ports that went without and may have better luck now. */
  takeHopeful(): string[] {
    const hopeful = this.#freed ? [...this.#denied] : [];
    this.#freed = false;
    return hopeful;
  }
}

function serverKeys(elements: readonly IpvsElement[]): string[] {
  return elements.filter(({ set }) => set === 'server').map(({ key }) => key);
}
