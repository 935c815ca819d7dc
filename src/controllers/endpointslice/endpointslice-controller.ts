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
import { keyOf } from '../../client/indexer.ts';
import { errorMessage } from '../../util/errors.ts';
import { jsonEqual } from '../../util/json.ts';
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
import {
  type AddressType,
  addressTypesOf,
  type Endpoint,
  type PortGroup,
  portGroups,
  wantsAutoHints,
} from './endpoints-of.ts';
import { allotZones, hintFacts, zoneRatios } from './hints.ts';
import { planSlices, type SlicePlan } from './packing.ts';

const NAME = 'endpoint-slice-controller';
const SERVICE_NAME = 'kubernetes.io/service-name';
const MANAGED_BY = 'endpointslice.kubernetes.io/managed-by';
const HEADLESS = 'service.kubernetes.io/headless';
const MANAGER = 'endpointslice-controller.k8s.io';
const ZONE = 'topology.kubernetes.io/zone';

interface Deps extends Pick<ControllerContext, 'client'> {
  readonly services: Informer<Service>;
  readonly pods: Informer<Pod>;
  readonly nodes: Informer<Node>;
  readonly slices: Informer<EndpointSlice>;
  readonly overlay: Overlay<EndpointSlice>;
  readonly events: EventRecorder;
  readonly maxEndpoints: number;
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
  const { maxEndpointsPerSlice: maxEndpoints, endpointSlicesBatchMs } = context.options;
  const deps = { client, services, pods, nodes, slices, overlay, events, maxEndpoints };
  const controller = newController(context, new SliceReconciler(deps));
  const enqueue = (key: string) => controller.enqueue(key);
  controller.watch(services);
  controller.watch(slices, (slice) => [serviceOf(slice)].filter((key) => key !== undefined));
  controller.needs(pods);
  controller.needs(nodes);
  const later = (key: string) => controller.enqueueAfter(key, endpointSlicesBatchMs);
  watchServicePods({ services, pods, enqueue: later });
  watchZones(deps, enqueue);
  watchShares(deps, enqueue);
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

/** Where traffic is shared by the CPUs of zones, every node counts. */
function watchShares(deps: Pick<Deps, 'nodes' | 'services'>, enqueue: (key: string) => void) {
  const tell = () => {
    for (const service of deps.services.list()) {
      if (wantsAutoHints(service)) enqueue(keyOf(service));
    }
  };
  deps.nodes.addHandler({
    onAdd: tell,
    onUpdate: (before, after) => {
      if (!jsonEqual(hintFacts(before), hintFacts(after))) tell();
    },
    onDelete: tell,
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
  /** Of Services that ask for shared traffic: what was told of it last, by key and address type. */
  readonly #told = new Map<string, string>();

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
      const found = portGroups(service, addressType, selected, nodeOf);
      const groups = this.#withSharedTraffic(service, addressType, found);
      const same = existing.filter((slice) => slice.addressType === addressType);
      await this.#carryOut(service, planSlices(this.#frameOf(service, addressType), groups, same));
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

  #frameOf(service: Service, addressType: AddressType) {
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
      maxEndpoints: this.#deps.maxEndpoints,
    };
  }

  /** Topology mode Auto: all endpoints of one family share the zones among them, or none has a hint. */
  #withSharedTraffic(
    service: Service,
    addressType: AddressType,
    groups: readonly PortGroup[],
  ): readonly PortGroup[] {
    const id = `${keyOf(service)} ${addressType}`;
    if (!wantsAutoHints(service)) {
      this.#told.delete(id);
      return groups;
    }
    const ratios = zoneRatios(this.#deps.nodes.list());
    const all = groups.flatMap(({ endpoints }) => endpoints);
    const zones = 'problem' in ratios ? ratios : allotZones(all, ratios);
    const problem = 'problem' in zones ? zones.problem : '';
    this.#tell(service, id, `${problem || ENABLED}, addressType: ${addressType}`);
    if ('problem' in zones) return groups;
    const hinted = (endpoint: Endpoint): Endpoint => {
      const name = zones.get(endpoint);
      return name === undefined ? endpoint : { ...endpoint, hints: { forZones: [{ name }] } };
    };
    return groups.map(({ ports, endpoints }) => ({ ports, endpoints: endpoints.map(hinted) }));
  }

  #tell(service: Service, id: string, text: string): void {
    if (this.#told.get(id) === text) return;
    this.#told.set(id, text);
    const { events } = this.#deps;
    if (text.startsWith(ENABLED))
      events.event(service, 'Normal', 'TopologyAwareHintsEnabled', text);
    else events.event(service, 'Warning', 'TopologyAwareHintsDisabled', text);
  }
}

const ENABLED = 'Topology Aware Hints has been enabled';
