import { readFileSync } from 'node:fs';
import type { Command } from 'commander';
import { parseYaml } from '../api/yaml.ts';
import {
  authenticationConfigOf,
  authorizersOf,
  parseTokenFile,
} from '../apiserver/identity-configuration.ts';
import { type ApiServerOptions, parseAuthorizationModes } from '../apiserver/options.ts';
import { createClient } from '../client/rest-client.ts';

/** Who is let in, and who says what they may do. */
export interface IdentityFlags {
  readonly tokenAuthFile?: string;
  readonly anonymousAuth: string | boolean;
  readonly authenticationConfig?: string;
  readonly oidcIssuerUrl?: string;
  readonly oidcClientId?: string;
  readonly oidcUsernameClaim: string;
  readonly oidcUsernamePrefix?: string;
  readonly oidcGroupsClaim?: string;
  readonly oidcGroupsPrefix?: string;
  readonly oidcCaFile?: string;
  readonly authorizationMode: string;
  readonly authorizationConfig?: string;
  readonly authorizationWebhookConfigFile?: string;
}

export function identityFlags(command: Command): Command {
  return command
    .option('--token-auth-file <file>', 'tokens and their users: token,user,uid,"group,…"')
    .option('--anonymous-auth [bool]', 'let requests without credentials in', 'true')
    .option('--authentication-config <file>', 'issuers of tokens (AuthenticationConfiguration)')
    .option('--oidc-issuer-url <url>', 'one issuer of tokens (OpenID Connect)')
    .option('--oidc-client-id <id>', 'whom its tokens must be for')
    .option('--oidc-username-claim <claim>', 'which claim is the user', 'sub')
    .option('--oidc-username-prefix <text>', 'put before it; - is none')
    .option('--oidc-groups-claim <claim>', 'which claim holds the groups')
    .option('--oidc-groups-prefix <text>', 'put before each of them')
    .option('--oidc-ca-file <file>', 'authorities of the issuer')
    .option('--authorization-mode <list>', 'authorizers in order', 'Node,RBAC')
    .option('--authorization-config <file>', 'the same in a file (AuthorizationConfiguration)')
    .option('--authorization-webhook-config-file <file>', 'kubeconfig of the mode Webhook');
}

/** Reads the files that the flags name. */
export async function identityOptions(
  flags: IdentityFlags,
): Promise<Pick<ApiServerOptions, 'staticTokens' | 'jwt' | 'anonymous' | 'authorizationModes'>> {
  const config = flags.authenticationConfig
    ? authenticationConfigOf(await readYaml(flags.authenticationConfig))
    : undefined;
  const isAnonymous = String(flags.anonymousAuth) === 'true';
  return {
    staticTokens: flags.tokenAuthFile
      ? parseTokenFile(readFileSync(flags.tokenAuthFile, 'utf8'))
      : undefined,
    jwt: config?.jwt ?? oidc(flags),
    anonymous: config?.anonymous ?? (isAnonymous ? undefined : { enabled: false, paths: [] }),
    authorizationModes: await authorizers(flags),
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
  const { authorizationConfig, authorizationMode, authorizationWebhookConfigFile: file } = flags;
  if (authorizationConfig) return authorizersOf(await readYaml(authorizationConfig), asker);
  const words = authorizationMode.split(',');
  if (!words.includes('Webhook')) return parseAuthorizationModes(authorizationMode);
  if (file === undefined) {
    throw new Error('The authorization mode Webhook needs --authorization-webhook-config-file');
  }
  const list = words.map((type) => ({
    type,
    ...(type === 'Webhook'
      ? {
          name: 'default',
          webhook: {
            failurePolicy: 'NoOpinion',
            connectionInfo: { type: 'KubeConfigFile', kubeConfigFile: file },
          },
        }
      : {}),
  }));
  return authorizersOf({ kind: 'AuthorizationConfiguration', authorizers: list }, asker);
}

function asker(kubeconfig: string): (review: object, signal: AbortSignal) => Promise<unknown> {
  const client = createClient(kubeconfig, { userAgent: 'kube-apiserver' });
  return async (review, signal) => (await client).raw('POST', '', review, signal);
}

async function readYaml(file: string): Promise<unknown> {
  return parseYaml(readFileSync(file, 'utf8'));
}
