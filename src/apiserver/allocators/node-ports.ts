import type { Service } from '../../api/types.ts';
import type { CacheEntry, CacheEvent } from '../cache-entry.ts';
import type { PortRange } from '../options.ts';
import { parseObject } from '../stored-object.ts';
import type { WatchCache } from '../watch-cache.ts';

// Ports at the start of the range are left to those who ask for them by number (KEP-3668).
const STATIC_BAND = 86;

/** Which node ports are in use: those of stored Services, kept true by their events, and those being given away. */
export class NodePorts {
  readonly range: PortRange;
  /** Port → how many Services and reservations hold it. */
  readonly #held = new Map<number, number>();
  readonly #ofService = new Map<string, readonly number[]>();

  constructor(range: PortRange) {
    this.range = range;
  }

  /** Counts the Services of the cache, now and from now on. */
  follow(cache: WatchCache): void {
    for (const entry of cache.slice('')) this.#count(entry.key, portsOfEntry(entry));
    cache.addWatcher({
      scope: { namespace: '' },
      offer: ({ type, entry }: CacheEvent) =>
        this.#count(entry.key, type === 'DELETED' ? [] : portsOfEntry(entry)),
    });
  }

  includes(port: number): boolean {
    return port >= this.range.first && port <= this.range.last;
  }

  isFree(port: number): boolean {
    return !this.#held.has(port);
  }

  /** Holds a port until `drop`; the stored Service holds it on its own. */
  hold(port: number): void {
    this.#held.set(port, (this.#held.get(port) ?? 0) + 1);
  }

  drop(port: number): void {
    const left = (this.#held.get(port) ?? 1) - 1;
    if (left <= 0) this.#held.delete(port);
    else this.#held.set(port, left);
  }

  /** A free port, or undefined when there is none. */
  find(): number | undefined {
    const { first, last } = this.range;
    const size = last - first + 1;
    const band = size > STATIC_BAND * 2 ? STATIC_BAND : 0;
    const start = Math.floor(Math.random() * (size - band));
    for (let i = 0; i < size - band; i++) {
      const port = first + band + ((start + i) % (size - band));
      if (this.isFree(port)) return port;
    }
    for (let port = first; port < first + band; port++) if (this.isFree(port)) return port;
    return undefined;
  }

  #count(key: string, ports: readonly number[]): void {
    for (const port of this.#ofService.get(key) ?? []) this.drop(port);
    if (ports.length === 0) this.#ofService.delete(key);
    else this.#ofService.set(key, ports);
    for (const port of ports) this.hold(port);
  }
}

function portsOfEntry(entry: CacheEntry): number[] {
  return nodePortsOf(parseObject(entry.served.bytes) as unknown as Service);
}

/** Each node port of a Service once: TCP and UDP may share one. */
export function nodePortsOf({ spec }: Pick<Service, 'spec'>): number[] {
  const ports = new Set((spec?.ports ?? []).flatMap((p) => (p.nodePort ? [p.nodePort] : [])));
  if (spec?.healthCheckNodePort) ports.add(spec.healthCheckNodePort);
  return [...ports];
}
