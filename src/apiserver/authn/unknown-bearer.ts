import { ApiError } from '../../api/errors.ts';
import type { Authenticator } from './authenticator.ts';
import { bearerToken } from './service-account.ts';

/** Stands behind all others: a token that nobody knew is refused, rather than taken for no token. */
export const unknownBearer: Authenticator = {
  name: 'unknown-bearer',
  authenticate(req) {
    if (bearerToken(req.headers.authorization) === undefined) return undefined;
    throw new ApiError('Unauthorized', 'Unauthorized');
  },
};
