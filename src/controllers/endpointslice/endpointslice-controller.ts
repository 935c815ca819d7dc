import { isNotFound } from '../../api/errors.ts';
import {
  ENDPOINT_SLICES,
  NODES,
  type ObjectKey,
  PODS,
  SERVICES,
} from '../../api/resource-types.ts';
import type { EndpointSlice, Node, Pod, Service } from '../../api/types.ts';
import type { EventRecorder, Informer } from '../../client/client.ts';
import { DONE, type Reconciler, type Result } from '../../client/controller.ts';
import { errorMessage } from '../../util/errors.ts';
import { type ControllerContext, newController, type Runnable } from '../context.ts';
import { controllerReference } from '../controller-reference.ts';
import { Overlay } from '../overlay.ts';
import { isNamespaceTerminating } from '../pod-control.ts';
import {
  hasSelector,
  isHeadless,
  selectedPods,
  serviceKey,
  watchServicePods,
} from '../service-endpoints.ts';
import { type AddressType, addressTypesOf, portGroups } from './endpoints-of.ts';
import { planSlices, type SlicePlan } from './packing.ts';

const NAME = 'endpoint-slice-controller';
const SERVICE_NAME = 'kubernetes.io/service-name';
const MANAGED_BY = 'endpointslice.kubernetes.io/managed-by';
const HEADLESS = 'service.kubernetes.io/headless';
const MANAGER = 'endpointslice-controller.k8s.io';
const ZONE = 'topology.kubernetes.io/zone';
const MAX_ENDPOINTS = 100;

interface Deps extends Pick<ControllerContext, 'client'> {
  readonly services: Informer<Service>;
  readonly pods: Informer<Pod>;
  readonly nodes: Informer<Node>;
  readonly slices: Informer<EndpointSlice>;
  readonly overlay: Overlay<EndpointSlice>;
  readonly events: EventRecorder;
}

export function endpointSliceController(context: ControllerContext): Runnable {
  const { client, informers } = context;
  const services = informers.get(SERVICES);
  const pods = informers.get(PODS);
  const nodes = informers.get(NODES);
  const slices = informers.get(ENDPOINT_SLICES);
  slices.addIndex('service', (slice) => [serviceOf(slice) ?? '']);
  pods.addIndex('node', (pod) => [pod.spec?.nodeName ?? '']);
  const overlay = new Overlay(slices);
  const events = context.events(NAME);
  const deps = { client, services, pods, nodes, slices, overlay, events };
  const controller = newController(context, new SliceReconciler(deps));
  const enqueue = (key: string) => controller.enqueue(key);
  controller.watch(services);
  controller.watch(slices, (slice) => [serviceOf(slice)].filter((key) => key !== undefined));
  controller.needs(pods);
  controller.needs(nodes);
  watchServicePods({ services, pods, enqueue });
  watchZones(deps, enqueue);
  return controller;
}

/** A node that moves to another zone moves the endpoints on it. */
function watchZones(
  deps: Pick<Deps, 'nodes' | 'pods' | 'services'>,
  enqueue: (key: string) => void,
) {
  const tell = (node: Node) => {
    const namespaces = deps.pods
      .byIndex('node', node.metadata.name)
      .map((p) => p.metadata.namespace);
    for (const namespace of new Set(namespaces)) {
      for (const { metadata } of deps.services.list(namespace)) {
        enqueue(serviceKey(namespace, metadata.name));
      }
    }
  };
  deps.nodes.addHandler({
    onAdd: (node) => {
      if (node.metadata.labels?.[ZONE]) tell(node);
    },
    onUpdate: (before, after) => {
      if (before.metadata.labels?.[ZONE] !== after.metadata.labels?.[ZONE]) tell(after);
    },
  });
}

/** The key of the Service of a slice that is this controller's. */
function serviceOf({ metadata }: EndpointSlice): string | undefined {
  const name = metadata.labels?.[SERVICE_NAME];
  if (name === undefined || metadata.labels?.[MANAGED_BY] !== MANAGER) return undefined;
  return serviceKey(metadata.namespace, name);
}

/** Keeps the slices of a Service equal to its ready, serving and terminating Pods. */
class SliceReconciler implements Reconciler {
  readonly name = NAME;
  readonly #deps: Deps;

  constructor(deps: Deps) {
    this.#deps = deps;
  }

  async reconcile(key: ObjectKey): Promise<Result> {
    const { services, pods, nodes, slices, overlay } = this.#deps;
    const service = services.get(key);
    if (!service || service.metadata.deletionTimestamp || !hasSelector(service)) return DONE;
    const id = serviceKey(key.namespace, key.name);
    const existing = overlay.over(
      slices.byIndex('service', id),
      (slice) => serviceOf(slice) === id,
    );
    const types = addressTypesOf(service);
    const selected = selectedPods(service, pods);
    const nodeOf = (name: string) => nodes.get({ namespace: '', name });
    await this.#carryOut(service, {
      create: [],
      update: [],
      delete: existing.filter((slice) => !types.includes(slice.addressType as AddressType)),
    });
    for (const addressType of types) {
      const groups = portGroups(service, addressType, selected, nodeOf);
      const same = existing.filter((slice) => slice.addressType === addressType);
      await this.#carryOut(service, planSlices(frameOf(service, addressType), groups, same));
    }
    return DONE;
  }

  async #carryOut(service: Service, plan: SlicePlan): Promise<void> {
    const { client, overlay, events } = this.#deps;
    try {
      for (const draft of plan.create) overlay.wrote(await client.create(ENDPOINT_SLICES, draft));
      for (const slice of plan.update) overlay.wrote(await client.update(ENDPOINT_SLICES, slice));
      for (const slice of plan.delete) await this.#delete(slice);
    } catch (err) {
      if (isNamespaceTerminating(err)) return; // its slices go with it
      const text = `Error updating Endpoint Slices for Service ${service.metadata.namespace}/${service.metadata.name}: ${errorMessage(err)}`;
      events.event(service, 'Warning', 'FailedToUpdateEndpointSlices', text);
      throw err;
    }
  }

  async #delete(slice: EndpointSlice): Promise<void> {
    const { client, overlay } = this.#deps;
    const { namespace, name } = slice.metadata;
    try {
      await client.delete(ENDPOINT_SLICES, { namespace, name });
      overlay.deleted(slice);
    } catch (err) {
      if (!isNotFound(err)) throw err;
    }
  }
}

function frameOf(service: Service, addressType: AddressType) {
  const { name, namespace } = service.metadata;
  return {
    namespace,
    generateName: `${name}-`,
    addressType,
    labels: {
      ...service.metadata.labels,
      ...(isHeadless(service) ? { [HEADLESS]: '' } : {}),
      [MANAGED_BY]: MANAGER,
      [SERVICE_NAME]: name,
    },
    owner: controllerReference(service),
    maxEndpoints: MAX_ENDPOINTS,
  };
}
