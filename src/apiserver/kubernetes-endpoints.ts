import type { Storage } from '../storage/storage.ts';
import { errorMessage } from '../util/errors.ts';
import type { Logger } from '../util/log.ts';
import { ensureKubernetesService, type KubernetesServiceOptions } from './kubernetes-service.ts';
import { ServerLeases } from './server-leases.ts';
import type { State } from './state.ts';
import { type SystemObjectDeps, systemContext } from './system-objects.ts';

export type KubernetesEndpointsDeps = SystemObjectDeps & {
  readonly state: State;
  readonly storage: Storage;
  readonly log: Logger;
};

const RENEW_MS = 10_000;

/**
 * Keeps the end points of the Service `kubernetes` true: every API server that runs, and no other. A server that has the
 * store to itself only looks when somebody touched them; servers that share a store tell each other by leases.
 */
export class KubernetesEndpoints {
  readonly #deps: KubernetesEndpointsDeps;
  readonly #options: KubernetesServiceOptions;
  readonly #leases: ServerLeases | undefined;
  #isDirty = false;
  #wake: () => void = () => {};

  constructor(
    deps: KubernetesEndpointsDeps,
    options: KubernetesServiceOptions & { readonly sharesStore: boolean },
  ) {
    this.#deps = deps;
    this.#options = options;
    this.#leases = options.sharesStore ? new ServerLeases(deps.storage) : undefined;
  }

  /** Makes the Service and its end points what they shall be now. */
  async ensure(): Promise<void> {
    const { address } = this.#options;
    if (address !== undefined) await this.#leases?.renew(address);
    await this.#write();
  }

  /** Works until aborted. */
  async run(signal: AbortSignal): Promise<void> {
    await Promise.all([this.#tend(signal), this.#leases?.watch(() => this.#touch(), signal)]);
  }

  async #tend(signal: AbortSignal): Promise<void> {
    await this.#follow();
    signal.addEventListener('abort', () => this.#wake(), { once: true });
    let stopTimer = this.#renewLater();
    while (!signal.aborted) {
      if (!this.#isDirty) {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
        continue;
      }
      this.#isDirty = false;
      await this.ensure().catch((err) => {
        this.#deps.log.error({ err: errorMessage(err) }, 'Could not tell where API servers are');
        this.#deps.clock.after(1000, () => this.#touch());
      });
      stopTimer();
      stopTimer = this.#renewLater();
    }
    stopTimer();
    await this.#leave();
  }

  #renewLater(): () => void {
    return this.#leases ? this.#deps.clock.after(RENEW_MS, () => this.#touch()) : () => {};
  }

  #touch(): void {
    this.#isDirty = true;
    this.#wake();
  }

  async #follow(): Promise<void> {
    const { kinds, state } = this.#deps;
    const places = [
      ['', 'services'],
      ['', 'endpoints'],
      ['discovery.k8s.io', 'endpointslices'],
    ] as const;
    for (const [group, resource] of places) {
      const kind = kinds.get(group, 'v1', resource);
      if (!kind) continue;
      const cache = await state.cache(kind);
      cache.addWatcher({
        scope: { namespace: 'default' },
        offer: ({ entry }) => {
          if (entry.name === 'kubernetes') this.#touch();
        },
      });
    }
  }

  async #write(): Promise<void> {
    const { address } = this.#options;
    const own = address === undefined ? [] : [address];
    const addresses = this.#leases ? await this.#leases.addresses() : own;
    const context = systemContext(this.#deps.clock.now());
    await ensureKubernetesService(this.#deps, { ...this.#options, addresses }, context);
  }

  /** The others learn at once of a server that ends in order. */
  async #leave(): Promise<void> {
    const { address } = this.#options;
    if (!this.#leases || address === undefined) return;
    try {
      await this.#leases.giveUp(address);
    } catch (err) {
      this.#deps.log.warn({ err: errorMessage(err) }, 'Could not say that this API server ends');
    }
  }
}
