import type { RequestInfo } from '../request-info.ts';
import type { UserInfo } from '../resource-kind.ts';
import type { Authorizer } from './authorizer.ts';
import type { NodeGraph } from './node-graph.ts';
import { type PolicyRule, ruleAllows } from './policy-rule.ts';
import { asksOnlyFor } from './selectors.ts';

const NODE_USER = 'system:node:';
const NODES_GROUP = 'system:nodes';
const LEASES = 'kube-node-lease';

export interface NodeAuthorizerDeps {
  readonly graph: NodeGraph;
  /** What the role system:node holds. */
  readonly rules: readonly PolicyRule[];
}

/**
 * What kubelets may do (upstream's Node authorizer): what the role system:node says, but of secrets, config maps, claims,
 * volumes and tokens only those of the Pods that are bound to the node, and of Pods, nodes, leases, CSINodes and slices
 * only its own. What it may write into them, NodeRestriction says.
 */
export function nodeAuthorizer({ graph, rules }: NodeAuthorizerDeps): Authorizer {
  return {
    name: 'Node',
    authorize(user, info) {
      const node = nodeOf(user);
      if (node === undefined) return { decision: 'no-opinion' };
      const refusal =
        node === ''
          ? `unknown node for user ${JSON.stringify(user.name)}`
          : judge({ graph, node }, info, rules);
      if (refusal === undefined) return { decision: 'allow' };
      return { decision: 'no-opinion', ...(refusal === '' ? {} : { reason: refusal }) };
    },
  };
}

/** Undefined: the user is no node. */
function nodeOf({ name, groups }: UserInfo): string | undefined {
  if (!groups.includes(NODES_GROUP) || !name.startsWith(NODE_USER)) return undefined;
  return name.slice(NODE_USER.length);
}

function judge(asker: Asker, info: RequestInfo, rules: readonly PolicyRule[]): string | undefined {
  const judgeOf = info.isResource ? JUDGES[`${info.group}/${info.resource}`] : undefined;
  if (judgeOf) return judgeOf(asker, { ...info, name: info.name || (info.selectedName ?? '') });
  return rules.some((rule) => ruleAllows(rule, info)) ? undefined : '';
}

interface Asker {
  readonly graph: NodeGraph;
  readonly node: string;
}

/** Why a node may not do it, in upstream's words, or '' where upstream has none; undefined: it may. */
type Judge = (asker: Asker, info: RequestInfo) => string | undefined;

const READS = ['get', 'list', 'watch'];

const JUDGES: Readonly<Record<string, Judge>> = {
  '/secrets': readNamespaced,
  '/configmaps': readNamespaced,
  '/persistentvolumeclaims': (asker, info) =>
    info.subresource === 'status' ? updateStatus(asker, info) : getOne(asker, info),
  '/persistentvolumes': getOne,
  '/serviceaccounts': createToken,
  '/pods': judgePod,
  '/nodes': judgeNode,
  'resource.k8s.io/resourceclaims': getOne,
  'resource.k8s.io/resourceslices': judgeSlice,
  'storage.k8s.io/volumeattachments': getOne,
  'storage.k8s.io/csinodes': judgeCsiNode,
  'coordination.k8s.io/leases': judgeLease,
};

function related({ graph, node }: Asker, { resource, namespace, name }: RequestInfo) {
  if (name === '') return 'No Object name found';
  if (graph.belongs(node, resource, { namespace, name })) return undefined;
  return `no relationship found between node '${node}' and this object`;
}

function getOne(asker: Asker, info: RequestInfo): string | undefined {
  if (info.verb !== 'get') return 'can only get individual resources of this type';
  return info.subresource === '' ? related(asker, info) : 'cannot get subresource';
}

function readNamespaced(asker: Asker, info: RequestInfo): string | undefined {
  if (!READS.includes(info.verb)) return 'can only read resources of this type';
  if (info.subresource !== '') return 'cannot read subresource';
  if (info.namespace === '') return 'can only read namespaced object of this type';
  return related(asker, info);
}

function updateStatus(asker: Asker, info: RequestInfo): string | undefined {
  if (info.verb === 'update' || info.verb === 'patch') return related(asker, info);
  return 'can only get/update/patch this type';
}

/** It also reads the accounts of its Pods, for what they say of tokens that pull images (KEP-4412). */
function createToken(asker: Asker, info: RequestInfo): string | undefined {
  if (info.verb === 'get' && info.subresource === '') return related(asker, info);
  if (info.verb !== 'create' || info.name === '') {
    return 'can only create tokens for individual service accounts';
  }
  if (info.subresource !== 'token') return 'can only create token subresource of serviceaccount';
  return related(asker, info);
}

function judgePod(asker: Asker, info: RequestInfo): string | undefined {
  switch (`${info.verb} ${info.subresource}`) {
    case 'create ':
    case 'delete ':
    case 'update status':
    case 'patch status':
    case 'create eviction':
      return undefined;
    case 'get ':
      return getOne(asker, info);
    case 'list ':
    case 'watch ':
      return seePods(asker, info);
    default:
      return '';
  }
}

function seePods(asker: Asker, info: RequestInfo): string | undefined {
  if (asksOnlyFor(info.fieldSelector, 'spec.nodeName', asker.node)) return undefined;
  if (info.name !== '') return related(asker, info);
  return 'can only list/watch pods with spec.nodeName field selector';
}

function judgeNode({ node }: Asker, { verb, subresource, name }: RequestInfo): string | undefined {
  if (verb === 'update' || verb === 'patch') {
    return subresource === '' || subresource === 'status' ? undefined : '';
  }
  if (subresource !== '') return '';
  if (verb === 'create') return undefined;
  if (!READS.includes(verb)) return '';
  if (name === node) return undefined;
  const what = name === '' ? 'all nodes' : `'${name}'`;
  return `node '${node}' cannot read ${what}, only its own Node object`;
}

function judgeSlice(asker: Asker, info: RequestInfo): string | undefined {
  if (info.subresource !== '') return 'cannot authorize ResourceSlice subresources';
  switch (info.verb) {
    case 'create':
      return undefined;
    case 'get':
    case 'update':
    case 'patch':
    case 'delete':
      return related(asker, info);
    case 'list':
    case 'watch':
    case 'deletecollection':
      if (asksOnlyFor(info.fieldSelector, 'spec.nodeName', asker.node)) return undefined;
      return 'can only list/watch/deletecollection resourceslices with nodeName field selector';
    default:
      return 'only the following verbs are allowed for a ResourceSlice: get, watch, list, create, update, patch, delete, deletecollection';
  }
}

const OWN_VERBS = ['get', 'create', 'update', 'patch', 'delete'];

function judgeLease({ node }: Asker, { verb, namespace, name }: RequestInfo): string | undefined {
  if (!OWN_VERBS.includes(verb)) {
    return 'can only get, create, update, patch, or delete a node lease';
  }
  if (namespace !== LEASES) return `can only access leases in the "${LEASES}" system namespace`;
  if (verb === 'create' || name === node) return undefined;
  return 'can only access node lease with the same name as the requesting node';
}

function judgeCsiNode({ node }: Asker, info: RequestInfo): string | undefined {
  const { verb, subresource, name } = info;
  if (!OWN_VERBS.includes(verb)) return 'can only get, create, update, patch, or delete a CSINode';
  if (subresource !== '') return 'cannot authorize CSINode subresources';
  if (verb === 'create' || name === node) return undefined;
  return 'can only access CSINode with the same name as the requesting node';
}
