import type { Authorizer } from './authorizer.ts';

const OPEN_PATHS = new Set(['/livez', '/readyz', '/healthz', '/version', '/version/']);
const OPEN_PREFIXES = ['/livez/', '/readyz/', '/healthz/'];

/** Administrators and the cluster's own users may do everything; everybody may ask for health and version. */
export const systemUsersAuthorizer: Authorizer = {
  name: 'SystemUsers',
  authorize(user, info) {
    if (user.groups.includes('system:masters')) return { decision: 'allow' };
    if (user.groups.includes('system:unauthenticated')) {
      const open = !info.isResource && isOpen(info.path) && info.verb === 'get';
      return { decision: open ? 'allow' : 'no-opinion' };
    }
    return { decision: user.name.startsWith('system:') ? 'allow' : 'no-opinion' };
  },
};

function isOpen(path: string): boolean {
  return OPEN_PATHS.has(path) || OPEN_PREFIXES.some((prefix) => path.startsWith(prefix));
}
