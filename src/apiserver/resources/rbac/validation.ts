import { type FieldError, invalid, notSupported, required } from '../../../api/field-errors.ts';
import { dns1123Subdomain, pathSegmentName } from '../../../api/names.ts';
import type { ClusterRole, ClusterRoleBinding, Role, RoleBinding } from '../../../api/types.ts';
import { checked, each, immutable, mustBeThere, validateLabelSelector } from '../validation.ts';

type Rule = NonNullable<Role['rules']>[number];
type AnyBinding = RoleBinding | ClusterRoleBinding;
type Subject = NonNullable<AnyBinding['subjects']>[number];

const GROUP = 'rbac.authorization.k8s.io';

export function validateRole({ rules }: Role): FieldError[] {
  return each(rules, 'rules', (rule, at) => validateRule(rule, true, at));
}

export function validateClusterRole({ rules, aggregationRule }: ClusterRole): FieldError[] {
  const out = each(rules, 'rules', (rule, at) => validateRule(rule, false, at));
  const selectors = aggregationRule?.clusterRoleSelectors;
  const field = 'aggregationRule.clusterRoleSelectors';
  if (aggregationRule && !selectors?.length) {
    out.push(
      required(field, 'at least one clusterRoleSelector required if aggregationRule is non-nil'),
    );
  }
  return [...out, ...each(selectors, field, validateLabelSelector)];
}

function validateRule(rule: Rule, namespaced: boolean, at: string): FieldError[] {
  const { verbs, nonResourceURLs, apiGroups, resources, resourceNames } = rule;
  const out = mustBeThere(verbs, `${at}.verbs`, 'verbs must contain at least one value');
  if (nonResourceURLs?.length) {
    if (namespaced) {
      const detail = 'namespaced rules cannot apply to non-resource URLs';
      out.push(invalid(`${at}.nonResourceURLs`, nonResourceURLs, detail));
    }
    if (apiGroups?.length || resources?.length || resourceNames?.length) {
      const detail = 'rules cannot apply to both regular resources and non-resource URLs';
      out.push(invalid(`${at}.nonResourceURLs`, nonResourceURLs, detail));
    }
    return out;
  }
  out.push(
    ...mustBeThere(
      apiGroups,
      `${at}.apiGroups`,
      'resource rules must supply at least one api group',
    ),
    ...mustBeThere(
      resources,
      `${at}.resources`,
      'resource rules must supply at least one resource',
    ),
  );
  return out;
}

export function validateBinding(binding: AnyBinding, namespaced: boolean): FieldError[] {
  const { roleRef, subjects } = binding;
  const out: FieldError[] = [];
  if (roleRef.apiGroup !== GROUP)
    out.push(notSupported('roleRef.apiGroup', roleRef.apiGroup, [GROUP]));
  const kinds = namespaced ? ['Role', 'ClusterRole'] : ['ClusterRole'];
  if (!kinds.includes(roleRef.kind)) out.push(notSupported('roleRef.kind', roleRef.kind, kinds));
  if (!roleRef.name) out.push(required('roleRef.name'));
  else {
    out.push(...pathSegmentName(roleRef.name).map((m) => invalid('roleRef.name', roleRef.name, m)));
  }
  return [...out, ...each(subjects, 'subjects', (s, at) => validateSubject(s, namespaced, at))];
}

function validateSubject(subject: Subject, namespaced: boolean, at: string): FieldError[] {
  const out = mustBeThere(subject.name, `${at}.name`);
  const group = subject.apiGroup ?? '';
  switch (subject.kind) {
    case 'ServiceAccount':
      if (group !== '') out.push(notSupported(`${at}.apiGroup`, group, ['']));
      if (subject.name) out.push(...checked(subject.name, dns1123Subdomain, `${at}.name`));
      if (!namespaced && !subject.namespace) out.push(required(`${at}.namespace`));
      return out;
    case 'User':
    case 'Group':
      if (group !== GROUP) out.push(notSupported(`${at}.apiGroup`, group, [GROUP]));
      return out;
    default:
      return [
        ...out,
        notSupported(`${at}.kind`, subject.kind, ['ServiceAccount', 'User', 'Group']),
      ];
  }
}

/** Who may do what can change; what is granted cannot, so that a binding never silently means more. */
export function validateBindingUpdate(
  binding: AnyBinding,
  old: AnyBinding,
  namespaced: boolean,
): FieldError[] {
  const fixed = immutable(binding.roleRef, old.roleRef, 'roleRef').map((error) => ({
    ...error,
    message: error.message.replace(/field is immutable$/, 'cannot change roleRef'),
  }));
  return [...validateBinding(binding, namespaced), ...fixed];
}
