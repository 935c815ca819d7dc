import { defaultPod } from '../../../api/pod-defaults.ts';
import { qosClassOf } from '../../../api/pods.ts';
import { PODS } from '../../../api/resource-types.ts';
import type { Pod } from '../../../api/types.ts';
import { cloneJson } from '../../../util/json.ts';
import type { Strategy } from '../../resource-kind.ts';
import { connectSubresource, defineKind, statusSubresource, viewSubresource } from '../kind.ts';
import { mergeLabelKeys } from '../pod-spec/label-keys.ts';
import { keepAllButStatus, keepStatus } from '../status.ts';
import { takeResizes, validatePodResize } from './pod-resize.ts';
import { POD_COLUMNS, podRow, podRowConditions } from './pod-row.ts';
import {
  validateEphemeralUpdate,
  validatePod,
  validatePodStatusUpdate,
  validatePodUpdate,
} from './pod-validation.ts';

const main: Strategy<Pod> = {
  default: defaultPod,
  prepareForCreate(pod, context) {
    mergeLabelKeys(pod);
    pod.status = { phase: 'Pending', ...(pod.spec ? { qosClass: qosClassOf(pod.spec) } : {}) };
    if (!pod.spec?.schedulingGates?.length) return;
    pod.status.conditions = [
      {
        type: 'PodScheduled',
        status: 'False',
        reason: 'SchedulingGated',
        message: 'Scheduling is blocked due to non-empty scheduling gates',
        lastTransitionTime: new Date(context.now).toISOString().replace(/\.\d+Z/, 'Z'),
      },
    ];
  },
  prepareForUpdate: keepStatus,
  validate: validatePod,
  validateUpdate: validatePodUpdate,
  generationFields: ['spec'],
  gracePeriodOf(pod, asked) {
    const seconds = Number(asked ?? pod.spec?.terminationGracePeriodSeconds ?? 30);
    const unbound = !pod.spec?.nodeName;
    const finished = pod.status?.phase === 'Succeeded' || pod.status?.phase === 'Failed';
    // Nobody has to stop anything for a Pod that no kubelet runs.
    return unbound || finished ? 0 : Math.max(seconds, asked === 0 ? 0 : 1);
  },
};

const status: Strategy<Pod> = {
  prepareForUpdate(pod, old) {
    keepAllButStatus(pod, old);
    // A kubelet may not hand its Pods to another owner.
    if (old.metadata.ownerReferences) {
      pod.metadata.ownerReferences = cloneJson(old.metadata.ownerReferences);
    } else delete pod.metadata.ownerReferences;
    if (pod.status && old.status?.qosClass) pod.status.qosClass = old.status.qosClass;
  },
  validateUpdate: validatePodStatusUpdate,
};

const ephemeralContainers: Strategy<Pod> = {
  default: defaultPod,
  prepareForUpdate(pod, old) {
    const added = pod.spec?.ephemeralContainers;
    keepStatus(pod, old);
    if (!old.spec) return;
    pod.spec = cloneJson(old.spec);
    if (added) pod.spec.ephemeralContainers = added;
  },
  validateUpdate: validateEphemeralUpdate,
  generationFields: ['spec'],
};

const resize: Strategy<Pod> = {
  default: defaultPod,
  prepareForUpdate(pod, old) {
    const { spec: asked } = pod;
    keepStatus(pod, old);
    if (!old.spec) return;
    pod.spec = cloneJson(old.spec);
    if (asked) takeResizes(pod.spec, asked);
  },
  validateUpdate: validatePodResize,
  generationFields: ['spec'],
};

export const podKind = defineKind<Pod>({
  type: PODS,
  shortNames: ['po'],
  categories: ['all'],
  strategy: main,
  subresources: {
    attach: connectSubresource('PodAttachOptions', ['create', 'get']),
    binding: connectSubresource('Binding', ['create']),
    ephemeralcontainers: viewSubresource(ephemeralContainers),
    eviction: connectSubresource('Eviction', ['create'], 'policy/v1'),
    exec: connectSubresource('PodExecOptions', ['create', 'get']),
    log: connectSubresource('Pod', ['get']),
    portforward: connectSubresource('PodPortForwardOptions', ['create', 'get']),
    proxy: connectSubresource('PodProxyOptions', ['create', 'delete', 'get', 'patch', 'update']),
    resize: viewSubresource(resize),
    status: statusSubresource(status),
  },
  columns: POD_COLUMNS,
  row: podRow,
  rowConditions: podRowConditions,
  fieldsOf: (pod) => ({
    'spec.nodeName': pod.spec?.nodeName ?? '',
    'spec.restartPolicy': pod.spec?.restartPolicy ?? '',
    'spec.schedulerName': pod.spec?.schedulerName ?? '',
    'spec.serviceAccountName': pod.spec?.serviceAccountName ?? '',
    'spec.hostNetwork': String(pod.spec?.hostNetwork ?? false),
    'status.phase': pod.status?.phase ?? '',
    'status.podIP': pod.status?.podIPs?.[0]?.ip ?? '',
    'status.nominatedNodeName': pod.status?.nominatedNodeName ?? '',
  }),
});
