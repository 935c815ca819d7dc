import { ApiError } from '../api/errors.ts';
import type { RequestInfo } from './request-info.ts';
import type { UserInfo } from './resource-kind.ts';

/** The 403 of a request that nobody allowed, worded as upstream words it. */
export function forbidden(user: UserInfo, info: RequestInfo, reason: string): ApiError {
  const who = `User ${JSON.stringify(user.name)} cannot ${info.verb}`;
  const why = reason === '' ? '' : `: ${reason}`;
  if (!info.isResource) {
    return new ApiError('Forbidden', `forbidden: ${who} path ${JSON.stringify(info.path)}${why}`, {
      details: {},
    });
  }
  const { group, resource, subresource, namespace, name } = info;
  const qualified = group === '' ? resource : `${resource}.${group}`;
  const subject = name === '' ? qualified : `${qualified} ${JSON.stringify(name)}`;
  const full = subresource === '' ? resource : `${resource}/${subresource}`;
  const where =
    namespace === '' ? 'at the cluster scope' : `in the namespace ${JSON.stringify(namespace)}`;
  const what = `resource ${JSON.stringify(full)} in API group ${JSON.stringify(group)} ${where}`;
  return new ApiError('Forbidden', `${subject} is forbidden: ${who} ${what}${why}`, {
    details: {
      ...(name === '' ? {} : { name }),
      ...(group === '' ? {} : { group }),
      kind: resource,
    },
  });
}
