import type { HostPort } from './pod-info.ts';

const ANY = '0.0.0.0';

/** Host ports in use on a node. A port on 0.0.0.0 and the same port on any address exclude each other. */
export class HostPorts {
  /** protocol/port → address → how many Pods hold it */
  readonly #used = new Map<string, Map<string, number>>();

  add({ ip, protocol, port }: HostPort): void {
    const slot = `${protocol}/${port}`;
    const holders = this.#used.get(slot) ?? new Map<string, number>();
    holders.set(ip, (holders.get(ip) ?? 0) + 1);
    this.#used.set(slot, holders);
  }

  remove({ ip, protocol, port }: HostPort): void {
    const slot = `${protocol}/${port}`;
    const holders = this.#used.get(slot);
    if (!holders) return;
    const left = (holders.get(ip) ?? 0) - 1;
    if (left > 0) holders.set(ip, left);
    else holders.delete(ip);
    if (holders.size === 0) this.#used.delete(slot);
  }

  conflicts({ ip, protocol, port }: HostPort): boolean {
    const holders = this.#used.get(`${protocol}/${port}`);
    if (!holders) return false;
    return ip === ANY || holders.has(ANY) || holders.has(ip);
  }

  copy(): HostPorts {
    const copy = new HostPorts();
    for (const [slot, holders] of this.#used) copy.#used.set(slot, new Map(holders));
    return copy;
  }
}
