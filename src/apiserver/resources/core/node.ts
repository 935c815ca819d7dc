import { NODES } from '../../../api/resource-types.ts';
import type { Node } from '../../../api/types.ts';
import { age, orNone } from '../cells.ts';
import {
  AGE_COLUMN,
  column,
  connectSubresource,
  defineKind,
  NAME_COLUMN,
  statusSubresource,
} from '../kind.ts';
import { keepAllButStatus, keepStatus } from '../status.ts';
import { validateNode, validateNodeUpdate } from './node-validation.ts';

const ROLE_PREFIX = 'node-role.kubernetes.io/';

/** `Ready,SchedulingDisabled`: the Ready condition, and whether the node is cordoned. */
function statusText(node: Node): string {
  const ready = node.status?.conditions?.find((c) => c.type === 'Ready');
  const words = [ready === undefined ? 'Unknown' : ready.status === 'True' ? 'Ready' : 'NotReady'];
  if (node.spec?.unschedulable) words.push('SchedulingDisabled');
  return words.join(',');
}

function rolesText(node: Node): string {
  const roles = new Set<string>();
  for (const [label, value] of Object.entries(node.metadata.labels ?? {})) {
    const role = label.startsWith(ROLE_PREFIX) ? label.slice(ROLE_PREFIX.length) : '';
    if (role !== '') roles.add(role);
    else if (label === 'kubernetes.io/role' && value !== '') roles.add(value);
  }
  return orNone([...roles].sort().join(','));
}

function addressText(node: Node, type: string): string {
  return orNone(node.status?.addresses?.find((a) => a.type === type)?.address);
}

function orUnknown(text: string | undefined): string {
  return text || '<unknown>';
}

export const nodeKind = defineKind<Node>({
  type: NODES,
  shortNames: ['no'],
  storagePrefix: 'minions',
  strategy: {
    default(node) {
      node.spec ??= {};
      if (node.status?.capacity) node.status.allocatable ??= { ...node.status.capacity };
    },
    // A kubelet registers its node with a first status, so creation keeps it.
    prepareForUpdate: keepStatus,
    validate: validateNode,
    validateUpdate: validateNodeUpdate,
  },
  subresources: {
    proxy: connectSubresource('NodeProxyOptions', ['create', 'delete', 'get', 'patch', 'update']),
    status: statusSubresource<Node>({ prepareForUpdate: keepAllButStatus }),
  },
  columns: [
    NAME_COLUMN,
    column('Status', 'Whether the node is ready, and whether it is cordoned.'),
    column('Roles', 'Roles that its labels give it.'),
    AGE_COLUMN,
    column('Version', 'Version of its kubelet.'),
    column('Internal-IP', 'Its first address of type InternalIP.', { wide: true }),
    column('External-IP', 'Its first address of type ExternalIP.', { wide: true }),
    column('OS-Image', 'Operating system that the node reports.', { wide: true }),
    column('Kernel-Version', 'Kernel that the node reports.', { wide: true }),
    column('Container-Runtime', 'Container runtime and its version.', { wide: true }),
  ],
  row: (node, now) => [
    node.metadata.name,
    statusText(node),
    rolesText(node),
    age(node.metadata.creationTimestamp, now),
    node.status?.nodeInfo?.kubeletVersion ?? '',
    addressText(node, 'InternalIP'),
    addressText(node, 'ExternalIP'),
    orUnknown(node.status?.nodeInfo?.osImage),
    orUnknown(node.status?.nodeInfo?.kernelVersion),
    orUnknown(node.status?.nodeInfo?.containerRuntimeVersion),
  ],
  fieldsOf: (node) => ({ 'spec.unschedulable': String(node.spec?.unschedulable ?? false) }),
});
