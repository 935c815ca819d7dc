import { nameCheck, pathSegmentName } from '../../../api/names.ts';
import { CLUSTER_ROLES, ROLES } from '../../../api/system-resource-types.ts';
import type { ClusterRole, Role } from '../../../api/types.ts';
import { defineKind } from '../kind.ts';

/** RBAC names hold colons: `system:node`. */
const validateName = nameCheck(pathSegmentName);

export const roleKind = defineKind<Role>({
  type: ROLES,
  strategy: { allowCreateOnUpdate: true, validateName },
});

export const clusterRoleKind = defineKind<ClusterRole>({
  type: CLUSTER_ROLES,
  strategy: { allowCreateOnUpdate: true, validateName },
});
