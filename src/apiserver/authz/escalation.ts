import { ApiError } from '../../api/errors.ts';
import type { KubeObject } from '../../api/types.ts';
import { jsonEqual } from '../../util/json.ts';
import { forbiddenByAdmission } from '../admission/plugin.ts';
import type { AdmissionPlugin, AdmissionRequest } from '../admission.ts';
import type { UserInfo } from '../resource-kind.ts';
import { type PolicyRule, ruleAllows, ruleText, uncovered } from './policy-rule.ts';
import type { RbacIndex } from './rbac-index.ts';

const GROUP = 'rbac.authorization.k8s.io';

/** Nobody hands out more than they hold: writing a role needs its rules or `escalate`, binding one its rules or `bind`. */
export function escalationCheck(index: RbacIndex): AdmissionPlugin {
  return {
    name: 'RBACEscalation',
    validate(request) {
      const { kind, object, old, user } = request;
      if (kind.group !== GROUP || !object || user.groups.includes('system:masters')) return;
      if (kind.resource.endsWith('bindings')) checkBinding(index, request, object, old);
      else checkRole(index, request, object, old);
    },
  };
}

type Role = KubeObject & { rules?: PolicyRule[] };
type Binding = KubeObject & { roleRef: { kind: string; name: string } };

function checkRole(
  index: RbacIndex,
  request: AdmissionRequest,
  object: Role,
  old: Role | undefined,
): void {
  if (old && onlyForCollection(old, object)) return;
  const { user, namespace, kind, name } = request;
  const target = { namespace, resource: kind.resource, name };
  if (holds(index, user, 'escalate', target)) return;
  const held = rulesHeld(index, user, namespace);
  const missing = uncovered(held, object.rules ?? []);
  if (missing.length > 0) throw refused(request, missing);
  // What gathers the rules of others may gather anything.
  const gathers = 'aggregationRule' in object || (old !== undefined && 'aggregationRule' in old);
  if (gathers && uncovered(held, EVERYTHING).length > 0) {
    const why = 'must have cluster-admin privileges to use an aggregationRule';
    throw forbiddenByAdmission(request, why);
  }
}

const EVERYTHING: readonly PolicyRule[] = [
  { verbs: ['*'], apiGroups: ['*'], resources: ['*'] },
  { verbs: ['*'], nonResourceURLs: ['*'] },
];

/** Whether a write changes nothing but what the garbage collector changes. Labels count: roles are gathered by them. */
function onlyForCollection(old: KubeObject, object: KubeObject): boolean {
  const rest = ({ metadata, ...others }: KubeObject) => {
    const { ownerReferences: _o, finalizers: _f, managedFields: _m, ...kept } = metadata;
    const { resourceVersion: _r, generation: _g, deletionTimestamp: _d, ...facts } = kept;
    return { ...others, metadata: { ...facts, deletionGracePeriodSeconds: undefined } };
  };
  return jsonEqual(rest(old), rest(object));
}

function checkBinding(
  index: RbacIndex,
  request: AdmissionRequest,
  object: KubeObject,
  old: KubeObject | undefined,
): void {
  const { roleRef } = object as Binding;
  if (old && onlyForCollection(old, object)) return;
  const { user, namespace } = request;
  const resource = roleRef.kind === 'ClusterRole' ? 'clusterroles' : 'roles';
  if (holds(index, user, 'bind', { namespace, resource, name: roleRef.name })) return;
  const rules = index.rulesOf(roleRef, namespace);
  const missing = uncovered(rulesHeld(index, user, namespace), rules);
  if (missing.length > 0) throw refused(request, missing);
}

function rulesHeld(index: RbacIndex, user: UserInfo, namespace: string): PolicyRule[] {
  return [...index.grantsOf(user, namespace)].flatMap(({ rules }) => rules);
}

function holds(
  index: RbacIndex,
  user: UserInfo,
  verb: string,
  of: { namespace: string; resource: string; name: string },
): boolean {
  const info = {
    ...{ path: '', isResource: true, group: GROUP, version: 'v1', subresource: '', rest: '' },
    ...of,
    verb,
  };
  return rulesHeld(index, user, of.namespace).some((rule) => ruleAllows(rule, info));
}

function refused({ kind, name, user }: AdmissionRequest, missing: readonly PolicyRule[]): ApiError {
  const groups = user.groups.map((group) => JSON.stringify(group)).join(' ');
  const who = `user ${JSON.stringify(user.name)} (groups=[${groups}])`;
  const rules = missing.map(ruleText).join('\n');
  const why = `${who} is attempting to grant RBAC permissions not currently held:\n${rules}`;
  return new ApiError(
    'Forbidden',
    `${kind.resource}.${GROUP} ${JSON.stringify(name)} is forbidden: ${why}`,
    {
      details: { name, group: GROUP, kind: kind.resource },
    },
  );
}
