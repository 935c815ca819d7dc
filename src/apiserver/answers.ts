import { ApiError } from '../api/errors.ts';

/** The 404 of a path that names nothing, as clients know it from upstream's `404 page not found`. */
export function pageNotFound(): ApiError {
  return new ApiError('NotFound', 'the server could not find the requested resource', {
    details: { causes: [{ reason: 'UnexpectedServerResponse', message: '404 page not found' }] },
  });
}

export function methodNotAllowed(): ApiError {
  return new ApiError(
    'MethodNotAllowed',
    'the server does not allow this method on the requested resource',
  );
}
