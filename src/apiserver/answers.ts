import { ApiError, qualifiedResource } from '../api/errors.ts';
import { PageNotFound } from '../http/errors.ts';
import { isBuiltinGroup } from './api-groups.ts';

/** The 404 of a path that names nothing: a Status below the groups that are served here, plain text elsewhere. */
export function notServed(path: string): ApiError {
  const [, root = '', group = ''] = path.split('/');
  const isRouted =
    root === 'api' || root === 'version' || (root === 'apis' && isBuiltinGroup(group));
  if (!isRouted) return new PageNotFound();
  return new ApiError('NotFound', 'the server could not find the requested resource', {
    details: {},
  });
}

export function methodNotAllowed(): ApiError {
  return new ApiError(
    'MethodNotAllowed',
    'the server does not allow this method on the requested resource',
    { details: {} },
  );
}

/** The same as those say it who serve custom resources. */
export function methodNotSupported(
  type: { readonly group: string; readonly resource: string },
  verb: string,
): ApiError {
  const message = `${verb} is not supported on resources of kind ${JSON.stringify(qualifiedResource(type))}`;
  return new ApiError('MethodNotAllowed', message, {
    details: { group: type.group, kind: type.resource },
  });
}
