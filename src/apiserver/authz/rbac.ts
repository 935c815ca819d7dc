import type { Authorizer } from './authorizer.ts';
import { ruleAllows } from './policy-rule.ts';
import type { RbacIndex } from './rbac-index.ts';

/** Roles and their bindings (upstream's RBAC authorizer): allows what any rule allows, and never denies. */
export function rbacAuthorizer(index: RbacIndex): Authorizer {
  return {
    name: 'RBAC',
    authorize(user, info) {
      for (const { rules, why } of index.grantsOf(user, info.namespace)) {
        if (rules.some((rule) => ruleAllows(rule, info))) return { decision: 'allow', reason: why };
      }
      return { decision: 'no-opinion' };
    },
  };
}

const OPEN_PATHS = /^\/(?:livez|readyz|healthz)(?:\/|$)/;

/** Administrators by group, whatever the roles say, and health for everybody: a broken policy must be repairable. */
export const alwaysAllowed: Authorizer = {
  name: 'AlwaysAllowed',
  authorize(user, info) {
    if (user.groups.includes('system:masters')) return { decision: 'allow' };
    if (!info.isResource && info.verb === 'get' && OPEN_PATHS.test(info.path)) {
      return { decision: 'allow' };
    }
    return { decision: 'no-opinion' };
  },
};
