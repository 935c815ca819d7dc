import { isNotFound } from '../../api/errors.ts';
import {
  ENDPOINT_SLICES,
  ENDPOINTS,
  keyString,
  type ObjectKey,
  SERVICES,
} from '../../api/resource-types.ts';
import type { EndpointSlice, Endpoints, Service } from '../../api/types.ts';
import { DONE, type Reconciler } from '../../client/controller.ts';
import { type ControllerContext, newController, type Runnable } from '../context.ts';
import { controllerReference } from '../controller-reference.ts';
import { Overlay } from '../overlay.ts';
import { isNamespaceTerminating } from '../pod-control.ts';
import { hasSelector } from '../service-endpoints.ts';
import { MANAGED_BY, MANAGER, type Mirror, mirror, SERVICE_NAME } from './mirror.ts';

const SKIP = 'endpointslice.kubernetes.io/skip-mirror';
const LEADER = 'control-plane.alpha.kubernetes.io/leader';

/** Shows Endpoints that somebody made by hand, for a Service without a selector, as slices. */
export function endpointSliceMirroringController(context: ControllerContext): Runnable {
  const { client, informers } = context;
  const { mirroredSlicesBatchMs, maxMirroredPerSubset } = context.options;
  const services = informers.get(SERVICES);
  const endpoints = informers.get(ENDPOINTS);
  const slices = informers.get(ENDPOINT_SLICES);
  slices.addIndex('mirror', (slice) => [mirrorOf(slice) ?? '']);
  const overlay = new Overlay(slices);
  const carryOut = async (plan: Mirror) => {
    for (const draft of plan.create) overlay.wrote(await client.create(ENDPOINT_SLICES, draft));
    for (const slice of plan.update) overlay.wrote(await client.update(ENDPOINT_SLICES, slice));
    for (const slice of plan.delete) {
      const { namespace, name } = slice.metadata;
      await client.delete(ENDPOINT_SLICES, { namespace, name }).catch((err: unknown) => {
        if (!isNotFound(err)) throw err;
      });
      overlay.deleted(slice);
    }
  };
  const reconciler: Reconciler = {
    name: 'endpointslice-mirroring-controller',
    async reconcile(key: ObjectKey) {
      const id = keyString(key);
      const existing = overlay.over(slices.byIndex('mirror', id), (s) => mirrorOf(s) === id);
      const object = endpoints.get(key);
      if (!object || !isMirrored(object, services.get(key))) {
        await carryOut({ create: [], update: [], delete: existing });
        return DONE;
      }
      try {
        const frame = { owner: controllerReference(object), maxEndpoints: maxMirroredPerSubset };
        await carryOut(mirror(object, frame, existing));
      } catch (err) {
        if (!isNamespaceTerminating(err)) throw err;
      }
      return DONE;
    },
  };
  const controller = newController(context, reconciler);
  controller.watch(services);
  const later = ({ metadata }: Endpoints) =>
    controller.enqueueAfter(keyString(metadata), mirroredSlicesBatchMs);
  endpoints.addHandler({ onAdd: later, onUpdate: (_, after) => later(after), onDelete: later });
  controller.needs(endpoints);
  controller.watch(slices, (slice) => [mirrorOf(slice)].filter((id) => id !== undefined));
  return controller;
}

/** The key of the Endpoints object that a slice of this controller mirrors. */
function mirrorOf({ metadata }: EndpointSlice): string | undefined {
  const { [SERVICE_NAME]: name, [MANAGED_BY]: manager } = metadata.labels ?? {};
  if (name === undefined || manager !== MANAGER) return undefined;
  return keyString({ namespace: metadata.namespace, name });
}

function isMirrored({ metadata }: Endpoints, service: Service | undefined): boolean {
  if (!service || hasSelector(service) || service.spec?.type === 'ExternalName') return false;
  return metadata.labels?.[SKIP] !== 'true' && metadata.annotations?.[LEADER] === undefined;
}
