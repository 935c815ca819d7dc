import type { ControllerFactory } from './context.ts';
import { cronJobController } from './cronjob/cronjob-controller.ts';
import { daemonSetController } from './daemonset/daemonset-controller.ts';
import { deploymentController } from './deployment/deployment-controller.ts';
import { disruptionController } from './disruption/disruption-controller.ts';
import { endpointsController } from './endpoints/endpoints-controller.ts';
import { endpointSliceController } from './endpointslice/endpointslice-controller.ts';
import { endpointSliceMirroringController } from './endpointslice-mirroring/mirroring-controller.ts';
import { garbageCollector } from './garbage-collector/garbage-collector.ts';
import { jobController } from './job/job-controller.ts';
import { namespaceController } from './namespace/namespace-controller.ts';
import { nodeIpamController } from './node-ipam/node-ipam-controller.ts';
import { nodeLifecycleController } from './node-lifecycle/node-lifecycle-controller.ts';
import { podGcController } from './pod-gc/pod-gc-controller.ts';
import { replicaSetController, replicationController } from './replicaset/replicaset.ts';
import { resourceQuotaController } from './resource-quota/resource-quota-controller.ts';
import { rootCaPublisher } from './root-ca/root-ca-controller.ts';
import { serviceAccountController } from './serviceaccount/serviceaccount-controller.ts';
import { statefulSetController } from './statefulset/statefulset-controller.ts';
import { taintEvictionController } from './taint-eviction/taint-eviction-controller.ts';
import { ttlAfterFinishedController } from './ttl-after-finished/ttl-controller.ts';

/** Upstream's controller names (`--controllers`) and who makes them. */
export const CONTROLLERS: Readonly<Record<string, ControllerFactory>> = {
  'deployment-controller': deploymentController,
  'endpoints-controller': endpointsController,
  'endpointslice-controller': endpointSliceController,
  'garbage-collector-controller': garbageCollector,
  'namespace-controller': namespaceController,
  'node-ipam-controller': nodeIpamController,
  'node-lifecycle-controller': nodeLifecycleController,
  'pod-garbage-collector-controller': podGcController,
  'taint-eviction-controller': taintEvictionController,
  'daemonset-controller': daemonSetController,
  'replicationcontroller-controller': replicationController,
  'statefulset-controller': statefulSetController,
  'job-controller': jobController,
  'ttl-after-finished-controller': ttlAfterFinishedController,
  'cronjob-controller': cronJobController,
  'disruption-controller': disruptionController,
  'endpointslice-mirroring-controller': endpointSliceMirroringController,
  'replicaset-controller': replicaSetController,
  'resourcequota-controller': resourceQuotaController,
  'root-ca-certificate-publisher-controller': rootCaPublisher,
  'serviceaccount-controller': serviceAccountController,
};

/** Names from before v1.28, still accepted by `--controllers`. */
const ALIASES: Readonly<Record<string, string>> = {
  deployment: 'deployment-controller',
  endpoint: 'endpoints-controller',
  endpointslice: 'endpointslice-controller',
  garbagecollector: 'garbage-collector-controller',
  namespace: 'namespace-controller',
  nodeipam: 'node-ipam-controller',
  nodelifecycle: 'node-lifecycle-controller',
  podgc: 'pod-garbage-collector-controller',
  daemonset: 'daemonset-controller',
  replicationcontroller: 'replicationcontroller-controller',
  statefulset: 'statefulset-controller',
  job: 'job-controller',
  'ttl-after-finished': 'ttl-after-finished-controller',
  cronjob: 'cronjob-controller',
  disruption: 'disruption-controller',
  endpointslicemirroring: 'endpointslice-mirroring-controller',
  replicaset: 'replicaset-controller',
  resourcequota: 'resourcequota-controller',
  'root-ca-cert-publisher': 'root-ca-certificate-publisher-controller',
  serviceaccount: 'serviceaccount-controller',
};

/** Not started by `*`: they must be asked for by name. */
const OFF_BY_DEFAULT: ReadonlySet<string> = new Set();

/**
 * The names that a `--controllers` list selects: `*` all that are on by default, `foo` foo, `-foo` not foo; the first
 * mention of a name decides. Throws RangeError for a name that does not exist.
 */
export function selectControllers(list: readonly string[]): string[] {
  const mentioned = list.map((item) => {
    const bare = item.replace(/^-/, '');
    const name = ALIASES[bare] ?? bare;
    if (name !== '*' && !Object.hasOwn(CONTROLLERS, name)) {
      throw new RangeError(`"${bare}" is not in the list of known controllers`);
    }
    return item.startsWith('-') ? `-${name}` : name;
  });
  return Object.keys(CONTROLLERS).filter((name) => {
    const said = mentioned.find((item) => item === name || item === `-${name}`);
    if (said !== undefined) return said === name;
    return mentioned.includes('*') && !OFF_BY_DEFAULT.has(name);
  });
}
