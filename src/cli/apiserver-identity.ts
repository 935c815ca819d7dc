import { readFileSync } from 'node:fs';
import { type Command, Option } from 'commander';
import { parseYaml } from '../api/yaml.ts';
import {
  authenticationConfigOf,
  authorizersOf,
  parseTokenFile,
} from '../apiserver/identity-configuration.ts';
import { type ApiServerOptions, parseAuthorizationModes } from '../apiserver/options.ts';
import { createClient } from '../client/rest-client.ts';
import { parseDuration } from '../util/duration.ts';

/** Who is let in, and who says what they may do. */
export interface IdentityFlags {
  readonly tokenAuthFile?: string;
  readonly anonymousAuth?: string | boolean;
  readonly authenticationConfig?: string;
  readonly oidcIssuerUrl?: string;
  readonly oidcClientId?: string;
  readonly oidcUsernameClaim: string;
  readonly oidcUsernamePrefix?: string;
  readonly oidcGroupsClaim?: string;
  readonly oidcGroupsPrefix?: string;
  readonly oidcCaFile?: string;
  readonly authorizationMode?: string;
  readonly authorizationConfig?: string;
  readonly authorizationWebhookConfigFile?: string;
  readonly authorizationWebhookVersion: 'v1' | 'v1beta1';
  readonly authorizationWebhookCacheAuthorizedTtl: string;
  readonly authorizationWebhookCacheUnauthorizedTtl: string;
  readonly authenticationTokenWebhookConfigFile?: string;
  readonly authenticationTokenWebhookVersion: 'v1' | 'v1beta1';
  readonly authenticationTokenWebhookCacheTtl: number;
}

export function identityFlags(command: Command): Command {
  return command
    .option('--token-auth-file <file>', 'tokens and their users: token,user,uid,"group,…"')
    .option('--anonymous-auth [bool]', 'let requests without credentials in (default: true)')
    .option('--authentication-config <file>', 'issuers of tokens (AuthenticationConfiguration)')
    .option('--oidc-issuer-url <url>', 'one issuer of tokens (OpenID Connect)')
    .option('--oidc-client-id <id>', 'whom its tokens must be for')
    .option('--oidc-username-claim <claim>', 'which claim is the user', 'sub')
    .option('--oidc-username-prefix <text>', 'put before it; - is none')
    .option('--oidc-groups-claim <claim>', 'which claim holds the groups')
    .option('--oidc-groups-prefix <text>', 'put before each of them')
    .option('--oidc-ca-file <file>', 'authorities of the issuer')
    .option('--authorization-mode <list>', 'authorizers in order (default: Node,RBAC)')
    .option('--authorization-config <file>', 'the same in a file (AuthorizationConfiguration)')
    .option('--authorization-webhook-config-file <file>', 'kubeconfig of the mode Webhook')
    .addOption(reviewVersion('--authorization-webhook-version', 'of the reviews that it is sent'))
    .option(
      '--authorization-webhook-cache-authorized-ttl <time>',
      'how long its consent is remembered',
      '5m',
    )
    .option(
      '--authorization-webhook-cache-unauthorized-ttl <time>',
      'how long its refusal is remembered',
      '30s',
    )
    .option('--authentication-token-webhook-config-file <file>', 'kubeconfig of who knows tokens')
    .addOption(
      reviewVersion('--authentication-token-webhook-version', 'of the reviews that it is sent'),
    )
    .option(
      '--authentication-token-webhook-cache-ttl <time>',
      'how long its answers are remembered',
      parseDuration,
      120_000,
    );
}

function reviewVersion(flag: string, description: string): Option {
  return new Option(`${flag} <version>`, description).choices(['v1', 'v1beta1']).default('v1beta1');
}

/** Reads the files that the flags name. Throws Error for flags that say the same thing twice. */
export async function identityOptions(
  flags: IdentityFlags,
): Promise<
  Pick<
    ApiServerOptions,
    'staticTokens' | 'jwt' | 'tokenWebhook' | 'anonymous' | 'authorizationModes'
  >
> {
  const { authenticationConfig, tokenAuthFile } = flags;
  const config = authenticationConfig ? await readYaml(authenticationConfig) : undefined;
  return {
    staticTokens: tokenAuthFile ? parseTokenFile(readFileSync(tokenAuthFile, 'utf8')) : undefined,
    tokenWebhook: await tokenWebhook(flags),
    ...authenticationOf(flags, config),
    authorizationModes: await authorizers(flags),
  };
}

/** Issuers and anonymous requests, by an AuthenticationConfiguration, if there is one, and the flags. */
export function authenticationOf(
  flags: IdentityFlags,
  data: unknown,
): Pick<ApiServerOptions, 'jwt' | 'anonymous'> {
  const { anonymousAuth } = flags;
  const config = data === undefined ? undefined : authenticationConfigOf(data);
  if (config && flags.oidcIssuerUrl !== undefined) {
    throw new Error('--authentication-config and --oidc-* exclude each other');
  }
  if (config?.anonymous && anonymousAuth !== undefined) {
    throw new Error('--anonymous-auth is said by the --authentication-config already');
  }
  const isAnonymous = String(anonymousAuth ?? true) === 'true';
  return {
    jwt: config?.jwt ?? oidc(flags),
    anonymous: config?.anonymous ?? (isAnonymous ? undefined : { enabled: false, paths: [] }),
  };
}

/** Those of an AuthorizationConfiguration. Throws Error that names what is wrong. */
export function authorizersIn(data: unknown): ReturnType<typeof authorizersOf> {
  return authorizersOf(data, asker);
}

async function tokenWebhook(flags: IdentityFlags): Promise<ApiServerOptions['tokenWebhook']> {
  const file = flags.authenticationTokenWebhookConfigFile;
  if (file === undefined) return undefined;
  return {
    ask: await asker(file),
    version: flags.authenticationTokenWebhookVersion,
    cacheTtlMs: flags.authenticationTokenWebhookCacheTtl,
  };
}

function oidc(flags: IdentityFlags): ApiServerOptions['jwt'] {
  const { oidcIssuerUrl: url, oidcClientId: client, oidcUsernameClaim: claim } = flags;
  if (url === undefined) return undefined;
  if (client === undefined) throw new Error('--oidc-issuer-url needs --oidc-client-id');
  // Other issuers must not be able to name our users: unless told otherwise, theirs bear their name.
  const usual = claim === 'email' ? '' : `${url}#`;
  const given = flags.oidcUsernamePrefix;
  const groups = flags.oidcGroupsClaim;
  return [
    {
      issuer: {
        url,
        audiences: [client],
        ...(flags.oidcCaFile
          ? { certificateAuthority: readFileSync(flags.oidcCaFile, 'utf8') }
          : {}),
      },
      claimMappings: {
        username: { claim, prefix: given === '-' ? '' : (given ?? usual) },
        ...(groups ? { groups: { claim: groups, prefix: flags.oidcGroupsPrefix ?? '' } } : {}),
      },
    },
  ];
}

async function authorizers(flags: IdentityFlags): Promise<ApiServerOptions['authorizationModes']> {
  const { authorizationConfig, authorizationMode = 'Node,RBAC' } = flags;
  const file = flags.authorizationWebhookConfigFile;
  if (authorizationConfig) {
    if (flags.authorizationMode !== undefined || file !== undefined) {
      throw new Error(
        '--authorization-config excludes --authorization-mode and --authorization-webhook-*',
      );
    }
    return authorizersIn(await readYaml(authorizationConfig));
  }
  const words = authorizationMode.split(',');
  if (!words.includes('Webhook')) return parseAuthorizationModes(authorizationMode);
  if (file === undefined) {
    throw new Error('The authorization mode Webhook needs --authorization-webhook-config-file');
  }
  const webhook = {
    subjectAccessReviewVersion: flags.authorizationWebhookVersion,
    timeout: '30s',
    authorizedTTL: flags.authorizationWebhookCacheAuthorizedTtl,
    unauthorizedTTL: flags.authorizationWebhookCacheUnauthorizedTtl,
    failurePolicy: 'NoOpinion',
    connectionInfo: { type: 'KubeConfigFile', kubeConfigFile: file },
  };
  const list = words.map((type) => ({
    ...{ name: type.toLowerCase(), type },
    ...(type === 'Webhook' ? { webhook } : {}),
  }));
  return authorizersOf({ kind: 'AuthorizationConfiguration', authorizers: list }, asker);
}

/** Asks the server of a kubeconfig: one POST, to the path of its address. */
async function asker(
  kubeconfig: string,
): Promise<(review: object, signal: AbortSignal) => Promise<unknown>> {
  const client = await createClient(kubeconfig, { userAgent: 'kube-apiserver' });
  return (review, signal) => client.raw('POST', '', review, signal);
}

async function readYaml(file: string): Promise<unknown> {
  return parseYaml(readFileSync(file, 'utf8'));
}
