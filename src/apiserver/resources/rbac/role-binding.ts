import { nameCheck, pathSegmentName } from '../../../api/names.ts';
import { CLUSTER_ROLE_BINDINGS, ROLE_BINDINGS } from '../../../api/system-resource-types.ts';
import type { ClusterRoleBinding, RoleBinding } from '../../../api/types.ts';
import type { Cell, Strategy } from '../../resource-kind.ts';
import { age } from '../cells.ts';
import { AGE_COLUMN, column, defineKind, NAME_COLUMN } from '../kind.ts';
import { validateBinding, validateBindingUpdate } from './validation.ts';

type AnyBinding = RoleBinding | ClusterRoleBinding;
const GROUP = 'rbac.authorization.k8s.io';

const strategyOf = (namespaced: boolean): Strategy<AnyBinding> => ({
  default(binding) {
    binding.roleRef.apiGroup ||= GROUP;
    for (const subject of binding.subjects ?? []) {
      if (subject.apiGroup !== undefined) continue;
      if (subject.kind === 'User' || subject.kind === 'Group') subject.apiGroup = GROUP;
    }
  },
  allowCreateOnUpdate: true,
  validateName: nameCheck(pathSegmentName),
  validate: (binding) => validateBinding(binding, namespaced),
  validateUpdate: (binding, old) => validateBindingUpdate(binding, old, namespaced),
});

const COLUMNS = [
  NAME_COLUMN,
  column('Role', 'Role that it grants.'),
  AGE_COLUMN,
  column('Users', 'Users that it grants it to.', { wide: true }),
  column('Groups', 'Groups that it grants it to.', { wide: true }),
  column('ServiceAccounts', 'Service accounts that it grants it to.', { wide: true }),
];

function row({ metadata, roleRef, subjects = [] }: AnyBinding, now: number): Cell[] {
  const named = (kind: string) => subjects.filter((s) => s.kind === kind);
  return [
    metadata.name,
    `${roleRef.kind}/${roleRef.name}`,
    age(metadata.creationTimestamp, now),
    named('User')
      .map((s) => s.name)
      .join(', '),
    named('Group')
      .map((s) => s.name)
      .join(', '),
    named('ServiceAccount')
      .map((s) => `${s.namespace ?? ''}/${s.name}`)
      .join(', '),
  ];
}

export const roleBindingKind = defineKind<RoleBinding>({
  type: ROLE_BINDINGS,
  strategy: strategyOf(true),
  columns: COLUMNS,
  row,
});

export const clusterRoleBindingKind = defineKind<ClusterRoleBinding>({
  type: CLUSTER_ROLE_BINDINGS,
  strategy: strategyOf(false),
  columns: COLUMNS,
  row,
});
