import { nameCheck, pathSegmentName } from '../../../api/names.ts';
import { CLUSTER_ROLES, ROLES } from '../../../api/system-resource-types.ts';
import type { ClusterRole, Role } from '../../../api/types.ts';
import { defineKind } from '../kind.ts';
import { validateClusterRole, validateRole } from './validation.ts';

/** RBAC names hold colons: `system:node`. */
const validateName = nameCheck(pathSegmentName);

export const roleKind = defineKind<Role>({
  type: ROLES,
  strategy: {
    allowCreateOnUpdate: true,
    validateName,
    validate: validateRole,
    validateUpdate: validateRole,
  },
});

export const clusterRoleKind = defineKind<ClusterRole>({
  type: CLUSTER_ROLES,
  strategy: {
    allowCreateOnUpdate: true,
    validateName,
    validate: validateClusterRole,
    validateUpdate: validateClusterRole,
  },
});
