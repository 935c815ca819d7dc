import type { EndpointSlice, Service } from '../api/types.ts';
import { chooseEndpoints, endpointsOf, type NodeTopology } from './endpoints.ts';
import type { Endpoint, IpFamily, ProxyState, ServicePort, ServicePortSpec } from './model.ts';
import { type ServicePortOptions, servicePortsOf } from './service-ports.ts';

const SERVICE_NAME = 'kubernetes.io/service-name';
const HEADLESS = 'service.kubernetes.io/headless';
/** When the change that an endpoint slice reflects happened; set by the EndpointSlice controller. */
const TRIGGER_TIME = 'endpoints.kubernetes.io/last-change-trigger-time';

/**
 * Turns Services and EndpointSlices into one family's ProxyState, redoing only what changed. It holds
 * copies of what it was told and does no I/O.
 */
export class ChangeTracker {
  readonly #family: IpFamily;
  readonly #options: ServicePortOptions;
  #node: NodeTopology;
  readonly #specs = new Map<string, Service>();
  readonly #slices = new Map<string, Map<string, EndpointSlice>>();
  readonly #ids = new Map<string, string[]>();
  readonly #ports = new Map<string, ServicePort>();
  readonly #dirty = new Set<string>();
  /** Service ports that are not what they were in the last state. */
  #changed = new Set<string>();
  #triggerTimes: number[] = [];

  constructor(family: IpFamily, node: NodeTopology, options: ServicePortOptions) {
    this.#family = family;
    this.#node = node;
    this.#options = options;
  }

  setService(service: Service): void {
    const key = `${service.metadata.namespace}/${service.metadata.name}`;
    this.#specs.set(key, service);
    this.#dirty.add(key);
  }

  deleteService(service: Service): void {
    const key = `${service.metadata.namespace}/${service.metadata.name}`;
    this.#specs.delete(key);
    this.#dirty.add(key);
  }

  setSlice(slice: EndpointSlice): void {
    const key = serviceOf(slice);
    if (key === undefined || slice.addressType !== `IPv${this.#family}`) return;
    const slices = this.#slices.get(key) ?? new Map<string, EndpointSlice>();
    slices.set(slice.metadata.name, slice);
    this.#slices.set(key, slices);
    this.#touch(key, slice);
  }

  deleteSlice(slice: EndpointSlice): void {
    const key = serviceOf(slice);
    const slices = key === undefined ? undefined : this.#slices.get(key);
    if (key === undefined || !slices?.delete(slice.metadata.name)) return;
    if (slices.size === 0) this.#slices.delete(key);
    this.#touch(key, slice);
  }

  setNode(node: NodeTopology): void {
    if (node.name === this.#node.name && node.zone === this.#node.zone) return;
    this.#node = node;
    for (const key of this.#specs.keys()) this.#dirty.add(key);
  }

  /** Something was told since the last `state()`. */
  get pending(): boolean {
    return this.#dirty.size > 0;
  }

  /** When the changes of endpoints since the last call happened, in milliseconds since the epoch. */
  takeTriggerTimes(): number[] {
    const times = this.#triggerTimes;
    this.#triggerTimes = [];
    return times;
  }

  /** The state now. Service ports that did not change are the same objects as before. */
  state(): ProxyState {
    for (const key of this.#dirty) this.#recompute(key);
    this.#dirty.clear();
    const changed = this.#changed;
    this.#changed = new Set();
    return { family: this.#family, services: this.#ports, changed };
  }

  #touch(key: string, slice: EndpointSlice): void {
    this.#dirty.add(key);
    const time = Date.parse(slice.metadata.annotations?.[TRIGGER_TIME] ?? '');
    if (!Number.isNaN(time)) this.#triggerTimes.push(time);
  }

  #recompute(key: string): void {
    const service = this.#specs.get(key);
    const specs = service ? servicePortsOf(service, this.#family, this.#options) : [];
    const endpoints = endpointsOf(this.#slices.get(key)?.values() ?? [], this.#node);
    const before = new Set(this.#ids.get(key));
    for (const spec of specs) {
      before.delete(spec.id);
      const all = endpoints.get(`${spec.portName}/${spec.protocol}`) ?? [];
      const port = servicePort(spec, all, this.#node);
      const known = this.#ports.get(spec.id);
      if (known && sameRouting(known, port)) continue;
      this.#ports.set(spec.id, port);
      this.#changed.add(spec.id);
    }
    for (const id of before) {
      this.#ports.delete(id);
      this.#changed.add(id);
    }
    if (specs.length > 0)
      this.#ids.set(
        key,
        specs.map(({ id }) => id),
      );
    else this.#ids.delete(key);
  }
}

/** `NAMESPACE/NAME` of the Service that a slice belongs to; undefined for slices that nobody routes. */
function serviceOf({ metadata }: EndpointSlice): string | undefined {
  const name = metadata.labels?.[SERVICE_NAME];
  if (!name || metadata.labels?.[HEADLESS] !== undefined) return undefined;
  return `${metadata.namespace}/${name}`;
}

function servicePort(
  spec: ServicePortSpec,
  all: readonly Endpoint[],
  node: NodeTopology,
): ServicePort {
  const localReady = all.filter((e) => e.isLocal && e.ready).length;
  return { ...spec, endpoints: chooseEndpoints(all, spec, node), localReady };
}

function sameRouting(a: ServicePort, b: ServicePort): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}
