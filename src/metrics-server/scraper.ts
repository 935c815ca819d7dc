import type { Node } from '../api/types.ts';
import type { Informer } from '../client/client.ts';
import type { Clock } from '../util/clock.ts';
import { errorMessage } from '../util/errors.ts';
import type { Logger } from '../util/log.ts';
import { type NodeReadings, parseReadings } from './readings.ts';
import type { UsageStore } from './usage-store.ts';

export interface ScraperDeps {
  readonly nodes: Informer<Node>;
  readonly store: UsageStore;
  /** The body of GET /metrics/resource at a kubelet. */
  fetch(address: KubeletAddress, signal: AbortSignal): Promise<string>;
  readonly clock: Clock;
  readonly log: Logger;
}

export interface KubeletAddress {
  readonly host: string;
  readonly port: number;
}

export interface ScraperOptions {
  /** Between two looks. */
  readonly resolutionMs: number;
  /** Address types in the order of preference. */
  readonly addressTypes: readonly string[];
}

// The second look soon after the first: nothing can be told before.
const SECOND_LOOK_MS = 5000;
const DEFAULT_PORT = 10_250;

/** Asks every kubelet, again and again, all at the same time. */
export class Scraper {
  readonly #deps: ScraperDeps;
  readonly #options: ScraperOptions;

  constructor(deps: ScraperDeps, options: ScraperOptions) {
    this.#deps = deps;
    this.#options = options;
  }

  /** Works until aborted. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, nodes } = this.#deps;
    await nodes.whenSynced(signal);
    nodes.addHandler({ onDelete: (node) => this.#deps.store.forget(node.metadata.name) });
    for (let looks = 0; !signal.aborted; looks++) {
      const began = clock.now();
      await Promise.all(nodes.list().map((node) => this.#look(node, signal)));
      const period = looks === 0 ? SECOND_LOOK_MS : this.#options.resolutionMs;
      await clock.sleep(Math.max(0, began + period - clock.now()), signal).catch(() => {});
    }
  }

  async #look(node: Node, signal: AbortSignal): Promise<void> {
    const { store, log, clock, fetch } = this.#deps;
    const { name } = node.metadata;
    try {
      const timeout = AbortSignal.timeout(this.#options.resolutionMs);
      const address = kubeletAddress(node, this.#options.addressTypes);
      const text = await fetch(address, AbortSignal.any([signal, timeout]));
      const readings: NodeReadings = parseReadings(text, clock.now());
      store.add(name, readings);
    } catch (err) {
      if (signal.aborted) return;
      store.forget(name);
      log.warn({ node: name, err: errorMessage(err) }, 'Cannot read the metrics of a node');
    }
  }
}

/** Where the node's kubelet listens, by the preferred type of address. Pure. */
export function kubeletAddress(node: Node, types: readonly string[]): KubeletAddress {
  const addresses = node.status?.addresses ?? [];
  for (const type of types) {
    const host = addresses.find((a) => a.type === type)?.address;
    const port = node.status?.daemonEndpoints?.kubeletEndpoint?.Port ?? DEFAULT_PORT;
    if (host) return { host, port };
  }
  throw new Error(`Node ${node.metadata.name} has no address of type ${types.join(', ')}`);
}
