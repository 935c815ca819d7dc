import { conflict } from '../../api/errors.ts';
import { NODES, PODS } from '../../api/resource-types.ts';
import { CSI_NODES, RESOURCE_SLICES } from '../../api/system-resource-types.ts';
import type { KubeObject, Node, Pod } from '../../api/types.ts';
import { jsonEqual } from '../../util/json.ts';
import type { AdmissionPlugin, AdmissionRequest } from '../admission.ts';
import { referencesOf } from '../pod-references.ts';
import { forbiddenByAdmission, isMirrorPod, lookUp, type PluginDeps } from './plugin.ts';

const NODE_USER = 'system:node:';
const NODES_GROUP = 'system:nodes';

/**
 * A kubelet writes only its own node, lease and CSI node, the status of its own Pods, and mirror Pods bound to itself;
 * it gives itself no labels that others rely on, no taints and no owners (CVE-2025-5187).
 */
export function nodeRestriction(deps: PluginDeps): AdmissionPlugin {
  return {
    name: 'NodeRestriction',
    async validate(request) {
      const { user, kind } = request;
      if (!user.groups.includes(NODES_GROUP) || !user.name.startsWith(NODE_USER)) return;
      const node = user.name.slice(NODE_USER.length);
      const judge = JUDGES[`${kind.group}/${kind.resource}`];
      if (judge) await judge(deps, request, node);
    },
  };
}

type Judge = (deps: PluginDeps, request: AdmissionRequest, node: string) => Promise<void> | void;

const JUDGES: Readonly<Record<string, Judge>> = {
  '/pods': judgePod,
  '/nodes': judgeNode,
  '/serviceaccounts': judgeToken,
  'coordination.k8s.io/leases': judgeLease,
  [`${CSI_NODES.group}/${CSI_NODES.resource}`]: (_, request, node) => {
    if (nameOf(request) !== node) {
      throw refused(request, `can only access CSINode with the same name as the requesting node`);
    }
  },
  [`${RESOURCE_SLICES.group}/${RESOURCE_SLICES.resource}`]: (_, request, node) => {
    const { spec } = (request.object ?? request.old) as KubeObject & {
      spec?: { nodeName?: string };
    };
    if (spec?.nodeName !== node) {
      throw refused(
        request,
        `can only ${request.operation.toLowerCase()} a ResourceSlice with the same NodeName as the requesting node`,
      );
    }
  },
};

function refused(request: AdmissionRequest, why: string) {
  return forbiddenByAdmission(request, why);
}

function nameOf({ name, object }: AdmissionRequest): string {
  return object?.metadata.name ?? name;
}

async function judgePod(deps: PluginDeps, request: AdmissionRequest, node: string): Promise<void> {
  const { operation, subresource } = request;
  const own = `node ${JSON.stringify(node)}`;
  switch (subresource) {
    case '':
      if (operation === 'CREATE') return judgeMirrorPod(deps, request, node);
      if (operation === 'DELETE') {
        if ((request.old as unknown as Pod).spec?.nodeName === node) return;
        throw refused(request, `${own} can only delete pods with spec.nodeName set to itself`);
      }
      throw refused(
        request,
        `unexpected operation ${JSON.stringify(operation)}, ${own} can only create and delete mirror pods`,
      );
    case 'status':
      return judgePodStatus(request, node);
    case 'eviction':
      return judgeEviction(deps, request, node);
    default:
      throw refused(
        request,
        `unexpected pod subresource ${JSON.stringify(subresource)}, only 'status' and 'eviction' are allowed`,
      );
  }
}

async function judgeMirrorPod(
  deps: PluginDeps,
  request: AdmissionRequest,
  node: string,
): Promise<void> {
  const pod = request.object as unknown as Pod;
  const own = `node ${JSON.stringify(node)}`;
  if (!isMirrorPod(pod)) {
    throw refused(
      request,
      `pod does not have "kubernetes.io/config.mirror" annotation, ${own} can only create mirror pods`,
    );
  }
  if (pod.spec?.nodeName !== node) {
    throw refused(request, `${own} can only create pods with spec.nodeName set to itself`);
  }
  const owners = pod.metadata.ownerReferences ?? [];
  if (owners.length > 1) {
    throw refused(
      request,
      `${own} can only create pods with a single owner reference set to itself`,
    );
  }
  const [owner] = owners;
  if (owner) {
    const isNode = owner.apiVersion === 'v1' && owner.kind === 'Node' && owner.name === node;
    if (!isNode) {
      throw refused(request, `${own} can only create pods with an owner reference set to itself`);
    }
    if (!owner.controller) {
      throw refused(
        request,
        `${own} can only create pods with a controller owner reference set to itself`,
      );
    }
    if (owner.blockOwnerDeletion) {
      throw refused(request, `${own} must not set blockOwnerDeletion on an owner reference`);
    }
    const found = await lookUp(deps, NODES, { namespace: '', name: node });
    if (found && found.metadata.uid !== owner.uid) {
      throw refused(
        request,
        `UID mismatch: expected ${JSON.stringify(found.metadata.uid)} got ${JSON.stringify(owner.uid)}`,
      );
    }
  }
  refuseReferences(request, pod);
}

/** Nobody reads secrets by making a Pod that uses them. */
function refuseReferences(request: AdmissionRequest, pod: Pod): void {
  for (const [resource] of referencesOf(pod)) {
    if (resource === 'serviceaccounts') continue;
    throw refused(request, `node can not create pods that reference ${resource}`);
  }
  if ((pod.spec?.resourceClaims ?? []).length > 0) {
    throw refused(request, 'node can not create pods that reference resourceclaims');
  }
}

function judgePodStatus(request: AdmissionRequest, node: string): void {
  const [pod, old] = [request.object as unknown as Pod, request.old as unknown as Pod];
  const own = `node ${JSON.stringify(node)}`;
  if (old.spec?.nodeName !== node) {
    throw refused(
      request,
      `${own} can only update pod status for pods with spec.nodeName set to itself`,
    );
  }
  if (!jsonEqual(pod.metadata.labels, old.metadata.labels)) {
    throw refused(request, `${own} cannot update labels through pod status`);
  }
  if (!jsonEqual(pod.metadata.ownerReferences, old.metadata.ownerReferences)) {
    throw refused(request, `${own} cannot update owner references through pod status`);
  }
  const claims = (one: Pod) => one.status?.resourceClaimStatuses;
  if (!jsonEqual(claims(pod), claims(old))) {
    throw refused(request, `${own} cannot update resource claim statuses`);
  }
  const extended = (one: Pod) => one.status?.extendedResourceClaimStatus;
  if (!jsonEqual(extended(pod), extended(old))) {
    throw refused(request, `${own} cannot update extended resource claim status`);
  }
}

async function judgeEviction(
  deps: PluginDeps,
  request: AdmissionRequest,
  node: string,
): Promise<void> {
  const { namespace, name } = request;
  const pod = await lookUp(deps, PODS, { namespace, name });
  if (!pod || pod.spec?.nodeName === node) return;
  throw refused(request, `node ${node} can only evict pods with spec.nodeName set to itself`);
}

async function judgeNode(_: PluginDeps, request: AdmissionRequest, node: string): Promise<void> {
  const own = `node ${JSON.stringify(node)}`;
  const { operation } = request;
  if (nameOf(request) !== node) {
    throw refused(
      request,
      `${own} is not allowed to modify node ${JSON.stringify(nameOf(request))}`,
    );
  }
  if (operation === 'CREATE') return judgeNewNode(request, node);
  if (operation !== 'UPDATE') return;
  const [now, old] = [request.object as unknown as Node, request.old as unknown as Node];
  if (!jsonEqual(now.spec?.configSource, old.spec?.configSource)) {
    throw refused(
      request,
      `${own} is not allowed to update configSource to a new non-nil configSource`,
    );
  }
  if (!jsonEqual(now.spec?.taints, old.spec?.taints)) {
    throw refused(request, `${own} is not allowed to modify taints`);
  }
  if (!jsonEqual(now.metadata.ownerReferences, old.metadata.ownerReferences)) {
    throw refused(request, `${own} is not allowed to modify ownerReferences`);
  }
  const labels = changedLabels(now, old).filter(isReserved);
  if (labels.length > 0) {
    throw refused(request, `is not allowed to modify labels: ${labels.sort().join(', ')}`);
  }
}

function judgeNewNode(request: AdmissionRequest, node: string): void {
  const { metadata, spec } = request.object as unknown as Node;
  const own = `node ${JSON.stringify(node)}`;
  if (spec?.configSource) {
    throw refused(request, `${own} is not allowed to create pods with a non-nil configSource`);
  }
  if ((metadata.ownerReferences ?? []).length > 0) {
    throw refused(request, `${own} is not allowed to set ownerReferences`);
  }
  const labels = Object.keys(metadata.labels ?? {}).filter(isReserved);
  if (labels.length > 0) {
    throw refused(
      request,
      `${own} is not allowed to set the following labels: ${labels.sort().join(', ')}`,
    );
  }
}

function changedLabels({ metadata: now }: Node, { metadata: old }: Node): string[] {
  const all = new Set([...Object.keys(now.labels ?? {}), ...Object.keys(old.labels ?? {})]);
  return [...all].filter((key) => now.labels?.[key] !== old.labels?.[key]);
}

/** Labels of Kubernetes that a kubelet may set for itself (kubelet/apis well_known_labels). */
const KUBELET_LABELS = new Set([
  'kubernetes.io/hostname',
  'kubernetes.io/arch',
  'kubernetes.io/os',
  'beta.kubernetes.io/arch',
  'beta.kubernetes.io/os',
  'beta.kubernetes.io/instance-type',
  'node.kubernetes.io/instance-type',
  'failure-domain.beta.kubernetes.io/region',
  'failure-domain.beta.kubernetes.io/zone',
  'topology.kubernetes.io/region',
  'topology.kubernetes.io/zone',
]);

/** Of the names that belong to Kubernetes a kubelet may use few; any other name is free. */
function isReserved(label: string): boolean {
  const domain = label.includes('/') ? label.slice(0, label.indexOf('/')) : '';
  if (
    domain === 'node-restriction.kubernetes.io' ||
    domain.endsWith('.node-restriction.kubernetes.io')
  ) {
    return true;
  }
  const isOurs = /(^|\.)(kubernetes|k8s)\.io$/.test(domain);
  if (!isOurs || KUBELET_LABELS.has(label)) return false;
  return !/(^|\.)(kubelet|node)\.kubernetes\.io$/.test(domain);
}

async function judgeToken(
  deps: PluginDeps,
  request: AdmissionRequest,
  node: string,
): Promise<void> {
  if (request.operation !== 'CREATE' || request.subresource !== 'token') return;
  const { spec } = request.object as KubeObject & {
    spec?: { boundObjectRef?: { kind?: string; name?: string; uid?: string } };
  };
  const ref = spec?.boundObjectRef;
  if (!ref) throw refused(request, 'node requested token not bound to a pod');
  if (ref.kind !== 'Pod') {
    throw refused(request, 'node requested token not bound to a pod');
  }
  if (!ref.uid) throw refused(request, 'node requested token with a pod binding without a uid');
  const { namespace } = request;
  const pod = await lookUp(deps, PODS, { namespace, name: ref.name ?? '' });
  if (!pod) throw refused(request, `pod ${JSON.stringify(ref.name)} not found`);
  if (pod.metadata.uid !== ref.uid) {
    throw conflict(
      PODS,
      pod.metadata.name,
      `the UID in the bound object reference (${ref.uid}) does not match the UID in record. The object might have been deleted and then recreated`,
    );
  }
  if (pod.spec?.nodeName !== node) {
    throw refused(request, 'node requested token bound to a pod scheduled on a different node');
  }
}

function judgeLease(_: PluginDeps, request: AdmissionRequest, node: string): void {
  if (request.namespace !== 'kube-node-lease') {
    throw refused(request, 'can only access leases in the "kube-node-lease" system namespace');
  }
  if (nameOf(request) !== node) {
    throw refused(request, `can only access node lease with the same name as the requesting node`);
  }
}
