import { serverOf } from './commands.ts';
import type { IpvsElement } from './service-rules.ts';

/**
 * Of two service ports that claim one virtual server (by a mistake: a node port or an external address twice) the first
 * has it until it goes; their endpoints are never mixed.
 */
export class ServerOwners {
  /** Service ports by the virtual server that they have. */
  readonly #owners = new Map<string, string>();
  readonly #held = new Map<string, Set<string>>();
  readonly #denied = new Set<string>();
  #freed = false;

  /** What of `wanted` service port `id` may have. */
  grant(id: string, wanted: readonly IpvsElement[]): IpvsElement[] {
    const keys = new Set(wanted.filter(({ set }) => set === 'server').map(({ key }) => key));
    for (const key of this.#held.get(id) ?? []) {
      if (keys.has(key)) continue;
      this.#owners.delete(key);
      this.#freed = true;
    }
    const lost = new Set([...keys].filter((key) => (this.#owners.get(key) ?? id) !== id));
    const held = new Set([...keys].filter((key) => !lost.has(key)));
    for (const key of held) this.#owners.set(key, id);
    if (held.size > 0) this.#held.set(id, held);
    else this.#held.delete(id);
    if (lost.size > 0) this.#denied.add(id);
    else this.#denied.delete(id);
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
