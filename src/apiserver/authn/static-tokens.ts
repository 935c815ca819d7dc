import { createHash } from 'node:crypto';
import { ApiError } from '../../api/errors.ts';
import type { UserInfo } from '../resource-kind.ts';
import type { Authenticator } from './authenticator.ts';
import { bearerToken } from './service-account.ts';

/** Compared by digest: the time that a look-up takes tells nothing about the tokens. */
export function staticTokenAuthenticator(tokens: ReadonlyMap<string, UserInfo>): Authenticator {
  return {
    name: 'token-file',
    authenticate(req) {
      const token = bearerToken(req.headers.authorization);
      return token === undefined ? undefined : tokens.get(digest(token));
    },
  };
}

export function digest(token: string): string {
  return createHash('sha256').update(token).digest('base64');
}

/** Who may come without saying who they are. */
export interface AnonymousOptions {
  readonly enabled: boolean;
  /** Only to these paths. Empty: to all. */
  readonly paths: readonly string[];
}

/** Stands behind all others: without credentials nobody comes in where anonymous requests are switched off. */
export function anonymousGate({ enabled, paths }: AnonymousOptions): Authenticator {
  return {
    name: 'anonymous',
    authenticate(req) {
      const path = (req as { url?: string }).url?.split('?')[0] ?? '';
      if (enabled && (paths.length === 0 || paths.includes(path))) return undefined;
      throw new ApiError('Unauthorized', 'Unauthorized');
    },
  };
}
