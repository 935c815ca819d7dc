import { ApiError, isNotFound } from '../api/errors.ts';
import { ENDPOINT_SLICES, SERVICES } from '../api/resource-types.ts';
import type { EndpointSlice, Service } from '../api/types.ts';
import { joinHostPort } from '../util/ip.ts';
import type { KindRegistry } from './kind-registry.ts';
import type { ResourceKind } from './resource-kind.ts';
import type { ResourceStore } from './resource-store.ts';
import type { State } from './state.ts';
import { parseObject } from './stored-object.ts';

export interface ServiceName {
  readonly namespace: string;
  readonly name: string;
}

export interface ServiceResolverDeps {
  readonly state: State;
  readonly store: ResourceStore;
  readonly kinds: KindRegistry;
}

/** Finds who stands behind a Service: the API server reaches webhooks, aggregated servers and proxied Services without kube-proxy. */
export class ServiceResolver {
  readonly #deps: ServiceResolverDeps;

  constructor(deps: ServiceResolverDeps) {
    this.#deps = deps;
  }

  /** Throws NotFound. */
  async service({ namespace, name }: ServiceName): Promise<Service> {
    const { object } = await this.#deps.store.read(this.#kind(SERVICES), { namespace, name });
    return object as unknown as Service;
  }

  /**
   * `HOST:PORT` of one ready endpoint of a Service's port, given by name, by number or, if there is but one, not at all.
   * Throws ServiceUnavailable when there is no such port or nobody behind it.
   */
  async resolve(of: ServiceName, port: string): Promise<string> {
    const service = await this.#known(of);
    const { type, externalName } = service.spec ?? {};
    if (type === 'ExternalName' && externalName) return `${externalName}:${port || 443}`;
    return this.resolveIn(service, port);
  }

  async resolveIn(service: Service, port: string): Promise<string> {
    const wanted = servicePort(service, port);
    const candidates = (await this.slices(service.metadata)).flatMap((slice) =>
      readyAddresses(slice, wanted.name ?? ''),
    );
    const chosen = candidates[Math.floor(Math.random() * candidates.length)];
    if (chosen !== undefined) return chosen;
    const name = JSON.stringify(service.metadata.name);
    throw new ApiError('ServiceUnavailable', `no endpoints available for service ${name}`);
  }

  /** The EndpointSlices of a Service. */
  async slices({ namespace, name }: ServiceName): Promise<EndpointSlice[]> {
    const cache = await this.#deps.state.cache(this.#kind(ENDPOINT_SLICES));
    return cache
      .slice(namespace)
      .filter((entry) => entry.labels?.[SERVICE_LABEL] === name)
      .map((entry) => parseObject(entry.served.bytes) as unknown as EndpointSlice);
  }

  async #known(of: ServiceName): Promise<Service> {
    try {
      return await this.service(of);
    } catch (err) {
      if (!isNotFound(err)) throw err;
      throw new ApiError('ServiceUnavailable', `service ${JSON.stringify(of.name)} not found`);
    }
  }

  #kind(type: { group: string; version: string; resource: string }): ResourceKind {
    const kind = this.#deps.kinds.get(type.group, type.version, type.resource);
    if (!kind) throw new Error(`The kind ${type.resource} is not declared`);
    return kind;
  }
}

/** Of an EndpointSlice: whose it is. */
export const SERVICE_LABEL = 'kubernetes.io/service-name';

function readyAddresses({ ports, endpoints }: EndpointSlice, portName: string): string[] {
  const number = ports?.find((p) => (p.name ?? '') === portName)?.port;
  if (!number) return [];
  return (endpoints ?? [])
    .filter((endpoint) => endpoint.conditions?.ready !== false)
    .map((endpoint) => joinHostPort(endpoint.addresses[0] ?? '', number));
}

function servicePort(service: Service, asked: string): { name?: string | undefined } {
  const ports = service.spec?.ports ?? [];
  if (asked === '' && ports.length === 1 && ports[0]) return ports[0];
  const found = ports.find((p) => p.name === asked || String(p.port) === asked);
  if (asked !== '' && found) return found;
  const unnamed = asked === '' ? ports.find((p) => !p.name) : undefined;
  if (unnamed) return unnamed;
  const name = JSON.stringify(service.metadata.name);
  const port = JSON.stringify(asked);
  throw new ApiError('ServiceUnavailable', `no service port ${port} found for service ${name}`);
}
