import {
  ENDPOINT_SLICES,
  keyString,
  NODES,
  type ObjectKey,
  SERVICES,
} from '../../api/resource-types.ts';
import type { EndpointSlice, Service } from '../../api/types.ts';
import type { Client, EventRecorder, Lister } from '../../client/client.ts';
import { DONE, type Reconciler } from '../../client/controller.ts';
import { subjectOf } from '../../client/events.ts';
import { type ControllerContext, newController, type Runnable } from '../context.ts';
import { isOurs, nodeFacts, placement } from './placement.ts';

const SERVICE_NAME = 'kubernetes.io/service-name';
const BY_SERVICE = 'service';
const API_SERVER = 'default/kubernetes';

/**
 * A load balancer for machines without a cloud: a Service of type LoadBalancer gets the addresses of the nodes, and each
 * node's proxy answers there on the ports of the Service. A Service with a loadBalancerClass is left to its owner.
 */
export function serviceLbController(context: ControllerContext): Runnable {
  const { client, informers } = context;
  const services = informers.get(SERVICES);
  const slices = informers.get(ENDPOINT_SLICES);
  const nodes = informers.get(NODES);
  slices.addIndex(BY_SERVICE, (slice) => [serviceKeyOf(slice)]);
  const status = new StatusWriter(client, context.events('service-controller'));
  const reconciler: Reconciler = {
    name: 'service-lb-controller',
    async reconcile(key: ObjectKey) {
      const service = services.get(key);
      if (!service || !isOurs(service)) {
        if (service && service.spec?.type !== 'LoadBalancer') await status.clear(service);
        status.forget(key);
        if (!service) status.gone(key);
        return DONE;
      }
      const placed = placement(service, {
        nodes: nodes.list(),
        slices: slices.byIndex(BY_SERVICE, keyString(key)),
        rivals: services.list().filter(isOurs),
        apiPorts: apiPorts(slices),
      });
      if ('problem' in placed) await status.fail(service, placed.problem);
      else await status.set(service, placed.ips);
      return DONE;
    },
  };
  const controller = newController(context, reconciler);
  // Services compete for ports, so a change of one may be news for another.
  const all = () =>
    services
      .list()
      .filter(isOurs)
      .map(({ metadata }) => keyString(metadata));
  const enqueueAll = () => {
    for (const key of all()) controller.enqueue(key);
  };
  controller.watch(services, (service) => [
    keyString(service.metadata),
    ...(isOurs(service) ? all() : []),
  ]);
  controller.watch(slices, (slice) => [serviceKeyOf(slice)]);
  nodes.addHandler({
    onAdd: enqueueAll,
    onUpdate: (before, after) => {
      if (nodeFacts(before) !== nodeFacts(after)) enqueueAll();
    },
    onDelete: enqueueAll,
  });
  controller.needs(nodes);
  return controller;
}

function serviceKeyOf({ metadata }: EndpointSlice): string {
  return `${metadata.namespace}/${metadata.labels?.[SERVICE_NAME] ?? ''}`;
}

function apiPorts(slices: Lister<EndpointSlice>): number[] {
  const own = slices.byIndex(BY_SERVICE, API_SERVER);
  return own.flatMap(({ ports }) => (ports ?? []).flatMap(({ port }) => port ?? []));
}

/** Writes status.loadBalancer where it differs, and tells of it in events under upstream's reasons. */
class StatusWriter {
  readonly #client: Client;
  readonly #events: EventRecorder;
  /** What each failing Service was last told. */
  readonly #told = new Map<string, string>();
  /** Which ones have addresses: the server takes those away with the type. */
  readonly #served = new Set<string>();

  constructor(client: Client, events: EventRecorder) {
    this.#client = client;
    this.#events = events;
  }

  async set(service: Service, ips: readonly string[]): Promise<void> {
    this.forget(service.metadata);
    const key = keyString(service.metadata);
    const before = ingressIps(service);
    // What was written a moment ago may not have come back yet.
    const isFirst = before.length === 0 && !this.#served.has(key);
    if (ips.length > 0) this.#served.add(key);
    if (before.join() === ips.join()) return;
    if (isFirst) this.#tell(service, 'Normal', 'EnsuringLoadBalancer', 'Ensuring load balancer');
    await this.#write(service, ips);
    if (isFirst) this.#tell(service, 'Normal', 'EnsuredLoadBalancer', 'Ensured load balancer');
  }

  async fail(service: Service, problem: string): Promise<void> {
    const key = keyString(service.metadata);
    await this.#write(service, []);
    this.#served.delete(key);
    if (this.#told.get(key) === problem) return;
    this.#told.set(key, problem);
    const message = `Error syncing load balancer: failed to ensure load balancer: ${problem}`;
    this.#tell(service, 'Warning', 'SyncLoadBalancerFailed', message);
  }

  /** The Service is of another type now. */
  async clear(service: Service): Promise<void> {
    const served = this.#served.delete(keyString(service.metadata));
    if (!served && ingressIps(service).length === 0) return;
    this.#tell(service, 'Normal', 'DeletingLoadBalancer', 'Deleting load balancer');
    await this.#write(service, []);
    this.#tell(service, 'Normal', 'DeletedLoadBalancer', 'Deleted load balancer');
  }

  gone(key: ObjectKey): void {
    this.#served.delete(keyString(key));
  }

  forget(key: ObjectKey): void {
    this.#told.delete(keyString(key));
  }

  async #write(service: Service, ips: readonly string[]): Promise<void> {
    if (ingressIps(service).join() === ips.join()) return;
    const { namespace, name } = service.metadata;
    const ingress = ips.map((ip) => ({ ip, ipMode: 'VIP' }));
    const body = { status: { loadBalancer: { ingress: ips.length > 0 ? ingress : null } } };
    const patch = { type: 'merge' as const, body };
    await this.#client.patch(SERVICES, { namespace, name }, patch, { subresource: 'status' });
  }

  #tell(service: Service, type: 'Normal' | 'Warning', reason: string, message: string): void {
    this.#events.event(subjectOf(SERVICES, service.metadata), type, reason, message);
  }
}

function ingressIps({ status }: Service): string[] {
  return (status?.loadBalancer?.ingress ?? []).map(({ ip, hostname }) => ip ?? hostname ?? '');
}
