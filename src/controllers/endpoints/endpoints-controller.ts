import { isNotFound } from '../../api/errors.ts';
import { ENDPOINTS, type ObjectKey, PODS, SERVICES } from '../../api/resource-types.ts';
import type { Draft, Endpoints, Pod, Service } from '../../api/types.ts';
import type { EventRecorder, Informer } from '../../client/client.ts';
import { DONE, type Reconciler, type Result } from '../../client/controller.ts';
import { errorMessage } from '../../util/errors.ts';
import { jsonEqual } from '../../util/json.ts';
import { type ControllerContext, newController, type Runnable } from '../context.ts';
import { Overlay } from '../overlay.ts';
import { isNamespaceTerminating } from '../pod-control.ts';
import { hasSelector, isHeadless, selectedPods, watchServicePods } from '../service-endpoints.ts';
import { subsetsOf } from './subsets.ts';

const NAME = 'endpoint-controller';
const MANAGED_BY = 'endpoints.kubernetes.io/managed-by';
const HEADLESS = 'service.kubernetes.io/headless';
const OVER_CAPACITY = 'endpoints.kubernetes.io/over-capacity';

interface Deps extends Pick<ControllerContext, 'client'> {
  readonly services: Informer<Service>;
  readonly pods: Informer<Pod>;
  readonly overlay: Overlay<Endpoints>;
  readonly events: EventRecorder;
}

export function endpointsController(context: ControllerContext): Runnable {
  const { client, informers } = context;
  const services = informers.get(SERVICES);
  const pods = informers.get(PODS);
  const endpoints = informers.get(ENDPOINTS);
  const overlay = new Overlay(endpoints);
  const deps = { client, services, pods, overlay, events: context.events(NAME) };
  const controller = newController(context, new EndpointsReconciler(deps));
  controller.watch(services);
  controller.watch(endpoints);
  controller.needs(pods);
  const { endpointsBatchMs } = context.options;
  const enqueue = (key: string) => controller.enqueueAfter(key, endpointsBatchMs);
  watchServicePods({ services, pods, enqueue });
  return controller;
}

/** Keeps the one Endpoints object of each Service that has a selector. */
class EndpointsReconciler implements Reconciler {
  readonly name = NAME;
  readonly #deps: Deps;

  constructor(deps: Deps) {
    this.#deps = deps;
  }

  async reconcile(key: ObjectKey): Promise<Result> {
    const { services, pods, overlay } = this.#deps;
    const service = services.get(key);
    const current = overlay.get(key);
    if (!service) {
      if (current?.metadata.labels?.[MANAGED_BY] === NAME) await this.#delete(current);
      return DONE;
    }
    if (!hasSelector(service)) return DONE; // its Endpoints are made by hand
    const wanted = endpointsOf(service, selectedPods(service, pods), current);
    if (current && isSettled(current, wanted)) return DONE;
    await this.#write(service, wanted, current);
    return DONE;
  }

  async #write(
    service: Service,
    wanted: Draft<Endpoints>,
    current: Endpoints | undefined,
  ): Promise<void> {
    const { client, overlay, events } = this.#deps;
    const verb = current ? 'Update' : 'Create';
    try {
      const metadata = { ...current?.metadata, ...wanted.metadata };
      const written = current
        ? await client.update(ENDPOINTS, { ...current, ...wanted, metadata } as Endpoints)
        : await client.create(ENDPOINTS, wanted);
      overlay.wrote(written);
    } catch (err) {
      if (!current && isNamespaceTerminating(err)) return;
      const { namespace, name } = service.metadata;
      const text = `Failed to ${verb.toLowerCase()} endpoint ${namespace}/${name}: ${errorMessage(err)}`;
      events.event(service, 'Warning', `FailedTo${verb}Endpoint`, text);
      throw err;
    }
  }

  async #delete(endpoints: Endpoints): Promise<void> {
    const { namespace, name, uid } = endpoints.metadata;
    try {
      await this.#deps.client.delete(ENDPOINTS, { namespace, name }, { preconditions: { uid } });
    } catch (err) {
      if (!isNotFound(err)) throw err;
    }
  }
}

/** Ready Pods of a Service as its Endpoints object. Pure. */
function endpointsOf(
  service: Service,
  pods: readonly Pod[],
  current: Endpoints | undefined,
): Draft<Endpoints> {
  const { namespace, name, labels } = service.metadata;
  const { subsets, truncated } = subsetsOf(service, pods);
  const { [OVER_CAPACITY]: _before, ...annotations } = current?.metadata.annotations ?? {};
  if (truncated) annotations[OVER_CAPACITY] = 'truncated';
  const headless = isHeadless(service) ? { [HEADLESS]: '' } : {};
  return {
    apiVersion: 'v1',
    kind: 'Endpoints',
    metadata: {
      namespace,
      name,
      labels: { ...labels, ...headless, [MANAGED_BY]: NAME },
      ...(Object.keys(annotations).length > 0 ? { annotations } : {}),
    },
    ...(subsets.length > 0 ? { subsets } : { subsets: [] }),
  };
}

function isSettled(current: Endpoints, wanted: Draft<Endpoints>): boolean {
  return (
    jsonEqual(current.subsets ?? [], wanted.subsets ?? []) &&
    jsonEqual(current.metadata.labels ?? {}, wanted.metadata.labels ?? {}) &&
    current.metadata.annotations?.[OVER_CAPACITY] === wanted.metadata.annotations?.[OVER_CAPACITY]
  );
}
