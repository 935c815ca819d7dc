import { isAlreadyExists, isNotFound } from '../../api/errors.ts';
import { ENDPOINT_SLICES } from '../../api/resource-types.ts';
import { API_SERVICES } from '../../api/system-resource-types.ts';
import type { APIService, KubeObject } from '../../api/types.ts';
import type { Clock } from '../../util/clock.ts';
import { errorMessage } from '../../util/errors.ts';
import { jsonEqual } from '../../util/json.ts';
import type { Logger } from '../../util/log.ts';
import { isBuiltinGroup } from '../api-groups.ts';
import { timestamp } from '../before-write.ts';
import type { DiscoveredGroup } from '../discovery-groups.ts';
import type { KindRegistry } from '../kind-registry.ts';
import type { RemoteDocument } from '../openapi.ts';
import type { ResourceKind } from '../resource-kind.ts';
import type { ResourceStore } from '../resource-store.ts';
import { SERVICE_LABEL, type ServiceResolver } from '../service-resolver.ts';
import type { State } from '../state.ts';
import { systemContext } from '../system-objects.ts';
import { availabilityOf, withAvailability } from './availability.ts';
import type { FrontProxyCredentials } from './front-proxy.ts';
import { AUTO_LABEL, localApiServices } from './local-services.ts';
import { RemoteService } from './remote-service.ts';

export interface ApiServicesDeps {
  readonly state: State;
  readonly store: ResourceStore;
  readonly kinds: KindRegistry;
  readonly resolver: ServiceResolver;
  readonly credentials: FrontProxyCredentials;
  readonly clock: Clock;
  readonly log: Logger;
}

type Spec = NonNullable<APIService['spec']>;

const RETRY_MS = 1000;
const LOOK_AGAIN_MS = 30_000;
/** In the queue beside names of APIServices: what this server serves itself has changed. */
const LOCAL_SERVICES = '';

/**
 * Keeps the APIServices: makes those of what is served here, and watches over the aggregated servers that others declare,
 * whose groups join the discovery. Woken by changes of APIServices, of the endpoints behind them and of what is served.
 */
export class ApiServices {
  readonly #deps: ApiServicesDeps;
  readonly #kind: ResourceKind;
  readonly #slices: ResourceKind;
  readonly #remotes = new Map<string, RemoteService>();
  readonly #timers = new Map<string, () => void>();
  readonly #dirty = new Set<string>();
  #credentials: FrontProxyCredentials;
  #groups: readonly DiscoveredGroup[] = [];
  #documents: readonly RemoteDocument[] = [];
  #wake: () => void = () => {};

  constructor(deps: ApiServicesDeps) {
    this.#deps = deps;
    this.#credentials = deps.credentials;
    const known = ({ group, version, resource }: typeof API_SERVICES | typeof ENDPOINT_SLICES) => {
      const kind = deps.kinds.get(group, version, resource);
      if (!kind) throw new Error(`The kind ${resource} is not declared`);
      return kind;
    };
    this.#kind = known(API_SERVICES);
    this.#slices = known(ENDPOINT_SLICES);
  }

  /** The aggregated server that answers for a path, if one does. */
  remoteFor(path: string): RemoteService | undefined {
    if (this.#remotes.size === 0) return undefined;
    const found = /^(?:\/openapi\/v3)?\/apis\/([^/]+)\/([^/]+)(?:\/|$)/.exec(path);
    return found ? this.#remotes.get(`${found[2]}.${found[1]}`) : undefined;
  }

  /** Who this server is to the aggregated ones from now on. */
  useCredentials(credentials: FrontProxyCredentials): void {
    this.#credentials = credentials;
    for (const remote of this.#remotes.values()) remote.useCredentials(credentials);
  }

  /** Groups of aggregated servers; the same array until something changes. */
  groups(): readonly DiscoveredGroup[] {
    return this.#groups;
  }

  /** Where their OpenAPI v3 documents are, by `apis/GROUP/VERSION`. */
  openApiUrls(): Record<string, string> {
    return Object.fromEntries(
      [...this.#remotes.values()].flatMap(({ path, openApiUrl }) =>
        openApiUrl ? [[path.slice(1), openApiUrl]] : [],
      ),
    );
  }

  /** Their OpenAPI v2 documents; the same array until one changes. */
  openApiDocuments(): readonly RemoteDocument[] {
    return this.#documents;
  }

  /** Works until aborted. */
  async run(signal: AbortSignal): Promise<void> {
    signal.addEventListener('abort', () => this.#wake(), { once: true });
    await this.#follow();
    while (!signal.aborted) {
      const [name] = this.#dirty;
      if (name === undefined) {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
        continue;
      }
      this.#dirty.delete(name);
      await this.#tend(name);
    }
    for (const stop of this.#timers.values()) stop();
    for (const { agent } of this.#remotes.values()) agent.destroy();
  }

  async #follow(): Promise<void> {
    const { state, kinds } = this.#deps;
    const services = await state.cache(this.#kind);
    services.addWatcher({
      scope: { namespace: '' },
      offer: ({ entry }) => this.#enqueue(entry.name),
    });
    const slices = await state.cache(this.#slices);
    slices.addWatcher({
      scope: { namespace: '' },
      offer: ({ entry }) => this.#endpointsChanged(entry.namespace, entry.labels?.[SERVICE_LABEL]),
    });
    kinds.onChange(() => this.#enqueue(LOCAL_SERVICES));
    this.#enqueue(LOCAL_SERVICES);
    for (const { name } of services.slice('')) this.#enqueue(name);
  }

  #endpointsChanged(namespace: string, service: string | undefined): void {
    for (const { name, spec } of this.#remotes.values()) {
      if (spec.service?.name === service && spec.service?.namespace === namespace) {
        this.#enqueue(name);
      }
    }
  }

  #enqueue(name: string): void {
    this.#dirty.add(name);
    this.#wake();
  }

  #enqueueAfter(name: string, ms: number): void {
    this.#timers.get(name)?.();
    this.#timers.set(
      name,
      this.#deps.clock.after(ms, () => this.#enqueue(name)),
    );
  }

  async #tend(name: string): Promise<void> {
    try {
      if (name === LOCAL_SERVICES) await this.#tendLocal();
      else await this.#tendOne(name);
    } catch (err) {
      this.#deps.log.error(
        { apiService: name, err: errorMessage(err) },
        'Could not tend APIService',
      );
      this.#enqueueAfter(name, RETRY_MS);
    }
  }

  /** Makes the APIServices of what is served here, and removes those of what no longer is. */
  async #tendLocal(): Promise<void> {
    const { store, state, kinds, clock } = this.#deps;
    const wanted = localApiServices(kinds.all());
    const cache = await state.cache(this.#kind);
    const context = systemContext(clock.now());
    for (const { name, labels } of cache.slice('')) {
      if (labels?.[AUTO_LABEL] === undefined || wanted.has(name)) continue;
      const key = { namespace: '', name };
      await store.delete(this.#kind, key, { dryRun: false }, context).catch((err) => {
        if (!isNotFound(err)) throw err;
      });
    }
    const missing = [...wanted.values()].filter(({ metadata }) => !cache.get(metadata.name));
    await Promise.all(
      missing.map((service) =>
        store.create(this.#kind, service as unknown as KubeObject, context).catch((err) => {
          if (!isAlreadyExists(err)) throw err;
        }),
      ),
    );
  }

  async #tendOne(name: string): Promise<void> {
    const service = await this.#read(name);
    const spec = service?.spec;
    if (!service || !spec?.service || isBuiltinGroup(spec.group ?? '')) {
      this.#forget(name);
      if (service === undefined) this.#enqueue(LOCAL_SERVICES);
      return;
    }
    const remote = this.#remoteOf({ ...service, spec });
    const availability = await availabilityOf(remote, this.#deps.resolver);
    remote.isAvailable = availability.status === 'True';
    if (!remote.isAvailable) remote.discovered = { ...remote.discovered, freshness: 'Stale' };
    this.#regroup();
    const now = timestamp(this.#deps.clock.now());
    const status = withAvailability(service.status, availability, now);
    if (!jsonEqual(status, service.status ?? {})) await this.#writeStatus(name, status);
    this.#enqueueAfter(name, remote.isAvailable ? LOOK_AGAIN_MS : RETRY_MS);
  }

  #remoteOf(service: APIService & { spec: Spec }): RemoteService {
    const { name } = service.metadata;
    const known = this.#remotes.get(name);
    if (known && jsonEqual(known.spec, service.spec)) return known;
    known?.agent.destroy();
    const remote = new RemoteService(service, {
      resolver: this.#deps.resolver,
      credentials: this.#credentials,
    });
    this.#remotes.set(name, remote);
    return remote;
  }

  #forget(name: string): void {
    this.#timers.get(name)?.();
    this.#timers.delete(name);
    const remote = this.#remotes.get(name);
    if (!remote) return;
    remote.agent.destroy();
    this.#remotes.delete(name);
    this.#regroup();
  }

  #regroup(): void {
    const groups = [...this.#remotes.values()].map(
      ({ spec, discovered }): DiscoveredGroup => ({
        name: spec.group ?? '',
        priority: spec.groupPriorityMinimum,
        versions: [discovered],
      }),
    );
    if (!jsonEqual(groups, this.#groups)) this.#groups = groups;
    const documents = [...this.#remotes.values()].flatMap(({ openApi }) => openApi?.document ?? []);
    const isSame =
      documents.length === this.#documents.length &&
      documents.every((document, i) => document === this.#documents[i]);
    if (!isSame) this.#documents = documents;
  }

  async #read(name: string): Promise<APIService | undefined> {
    const found = await this.#deps.store.find(this.#kind, { namespace: '', name });
    return found as unknown as APIService | undefined;
  }

  async #writeStatus(name: string, status: APIService['status']): Promise<void> {
    const view = this.#kind.subresources.status;
    if (view?.type !== 'view') return;
    const change = (current: KubeObject): KubeObject => ({ ...current, status }) as KubeObject;
    const update = { strategy: view.strategy, subresource: 'status', isPatch: true, change };
    const context = systemContext(this.#deps.clock.now());
    await this.#deps.store
      .update(this.#kind, { namespace: '', name }, update, context)
      .catch((err) => {
        if (!isNotFound(err)) throw err;
      });
  }
}
