import {
  bootstrapTokenOf,
  isExpired,
  parseBootstrapToken,
  sameSecret,
  TOKEN_NAMESPACE,
  TOKEN_SECRET_PREFIX,
} from '../../api/bootstrap-tokens.ts';
import { ApiError } from '../../api/errors.ts';
import type { Secret } from '../../api/types.ts';
import type { Clock } from '../../util/clock.ts';
import type { KindRegistry } from '../kind-registry.ts';
import type { ResourceStore } from '../resource-store.ts';
import type { Authenticator } from './authenticator.ts';
import { bearerToken } from './service-account.ts';

export interface BootstrapTokenDeps {
  readonly kinds: KindRegistry;
  readonly store: ResourceStore;
  readonly clock: Clock;
}

/** Bootstrap tokens (--enable-bootstrap-token-auth): whoever holds one may ask for the certificate of a node. */
export function bootstrapTokenAuthenticator(deps: BootstrapTokenDeps): Authenticator {
  return {
    name: 'bootstrap-token',
    async authenticate(req) {
      const given = parseBootstrapToken(bearerToken(req.headers.authorization) ?? '');
      const kind = deps.kinds.get('', 'v1', 'secrets');
      if (!given || !kind) return undefined;
      const name = TOKEN_SECRET_PREFIX + given.id;
      const secret = await deps.store.find(kind, { namespace: TOKEN_NAMESPACE, name });
      const token = secret && bootstrapTokenOf(secret as unknown as Secret);
      const good =
        token?.authenticates &&
        sameSecret(token.secret, given.secret) &&
        !isExpired(token, deps.clock.now());
      if (!good) throw new ApiError('Unauthorized', 'Unauthorized');
      return {
        name: `system:bootstrap:${token.id}`,
        groups: [...token.groups, 'system:authenticated'],
      };
    },
  };
}
