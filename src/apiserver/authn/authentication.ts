import type { Clock } from '../../util/clock.ts';
import type { Logger } from '../../util/log.ts';
import type { KindRegistry } from '../kind-registry.ts';
import type { ApiServerOptions } from '../options.ts';
import type { ResourceStore } from '../resource-store.ts';
import { type TokenService, tokenService } from '../service-account-tokens.ts';
import type { Authenticator } from './authenticator.ts';
import { bootstrapTokenAuthenticator } from './bootstrap-token.ts';
import { ConfiguredAuthentication } from './configured.ts';
import { requestHeaderAuthenticator } from './request-header.ts';
import { ServiceAccountAuthenticator } from './service-account.ts';
import { staticTokenAuthenticator } from './static-tokens.ts';
import { Trust } from './trust.ts';
import { unknownBearer } from './unknown-bearer.ts';
import { webhookTokenAuthenticator } from './webhook.ts';
import { x509Authenticator } from './x509.ts';

/** The ways to tell who asks, as the options switch them on. */
export interface Authentication {
  /** In the order in which they are asked. */
  readonly authenticators: readonly Authenticator[];
  /** Those that know bearer tokens: what a TokenReview asks. */
  readonly bearers: readonly Authenticator[];
  /** Absent: no service account tokens are known here. */
  readonly tokens: TokenService | undefined;
  /** Whose certificates count; they may change. */
  readonly trust: Trust;
  /** Issuers of tokens and anonymous requests; they may change. */
  readonly configured: ConfiguredAuthentication;
}

export function authentication(
  options: ApiServerOptions,
  deps: { kinds: KindRegistry; store: ResourceStore; clock: Clock; log: Logger },
): Authentication {
  const { requestHeader, staticTokens, tokenWebhook } = options;
  const configured = new ConfiguredAuthentication(options, deps);
  const trust = new Trust({
    clientAuthority: options.listen.clientAuthority,
    proxyAuthority: requestHeader?.clientAuthority,
  });
  const tokens = tokenService(options.serviceAccounts);
  const bearers: Authenticator[] = [
    ...(staticTokens ? [staticTokenAuthenticator(staticTokens)] : []),
    ...(tokens ? [new ServiceAccountAuthenticator({ ...tokens, ...deps })] : []),
    ...(options.bootstrapTokens ? [bootstrapTokenAuthenticator(deps)] : []),
    configured.bearer,
    ...(tokenWebhook
      ? [webhookTokenAuthenticator(tokenWebhook, { ...deps, audiences: tokens?.audiences ?? [] })]
      : []),
  ];
  const authenticators = [
    ...(requestHeader ? [requestHeaderAuthenticator(requestHeader, trust)] : []),
    x509Authenticator(trust),
    ...bearers,
    unknownBearer,
    configured.gate,
  ];
  return { authenticators, bearers, tokens, trust, configured };
}
