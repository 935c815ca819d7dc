import { parseDuration } from '../util/duration.ts';
import { isObject } from '../util/json.ts';
import type { JwtOptions } from './authn/jwt.ts';
import { digest } from './authn/static-tokens.ts';
import { AUTHORIZATION_MODES, type AuthorizerChoice } from './authz/authorization.ts';
import type { AuthorizationWebhook } from './authz/webhook.ts';
import type { UserInfo } from './resource-kind.ts';

interface Entry {
  readonly type: string;
  readonly name?: string;
  readonly webhook?: {
    readonly timeout?: string;
    readonly subjectAccessReviewVersion?: string;
    readonly matchConditionSubjectAccessReviewVersion?: string;
    readonly authorizedTTL?: string;
    readonly unauthorizedTTL?: string;
    readonly failurePolicy?: string;
    readonly connectionInfo?: { readonly type?: string; readonly kubeConfigFile?: string };
    readonly matchConditions?: readonly { readonly expression: string }[];
  };
}

type Asker = (kubeconfig: string) => Promise<AuthorizationWebhook['ask']>;

/** Reads an AuthorizationConfiguration; `asker` makes the way to a webhook. Throws Error that names what is wrong. */
export async function authorizersOf(data: unknown, asker: Asker): Promise<AuthorizerChoice[]> {
  if (!isObject(data) || data.kind !== 'AuthorizationConfiguration') {
    throw new Error('The authorization configuration must be an AuthorizationConfiguration');
  }
  const list = (data.authorizers ?? []) as Entry[];
  if (list.length === 0) {
    throw new Error('Authorization configuration: authorizers: at least one is required');
  }
  const names = new Set<string>();
  const choices = list.map((entry, i) => {
    const at = `Authorization configuration: authorizers[${i}]`;
    const { name = '', type } = entry;
    if (name === '') throw new Error(`${at}.name: Required value`);
    if (names.has(name)) throw new Error(`${at}.name: Duplicate value: ${JSON.stringify(name)}`);
    names.add(name);
    if (type === 'Webhook') return webhookOf(entry, at, asker);
    const mode = AUTHORIZATION_MODES.find((known) => known === type);
    if (!mode) throw new Error(`${at}.type: unknown type ${JSON.stringify(type)}`);
    if (entry.webhook) {
      throw new Error(`${at}.webhook: may only be specified when type=Webhook`);
    }
    return mode;
  });
  return Promise.all(choices);
}

async function webhookOf(
  { name = '', webhook }: Entry,
  at: string,
  asker: Asker,
): Promise<AuthorizationWebhook> {
  const { connectionInfo, failurePolicy, timeout, matchConditions = [] } = webhook ?? {};
  const { subjectAccessReviewVersion: version } = webhook ?? {};
  if (connectionInfo?.type !== 'KubeConfigFile' || !connectionInfo.kubeConfigFile) {
    throw new Error(`${at}.webhook.connectionInfo: only KubeConfigFile with its file is supported`);
  }
  if (failurePolicy !== 'Deny' && failurePolicy !== 'NoOpinion') {
    throw new Error(`${at}.webhook.failurePolicy: must be Deny or NoOpinion`);
  }
  if (version !== 'v1' && version !== 'v1beta1') {
    throw new Error(`${at}.webhook.subjectAccessReviewVersion: must be v1 or v1beta1`);
  }
  if (matchConditions.length > 0 && webhook?.matchConditionSubjectAccessReviewVersion !== 'v1') {
    throw new Error(`${at}.webhook.matchConditionSubjectAccessReviewVersion: must be v1`);
  }
  if (timeout === undefined) throw new Error(`${at}.webhook.timeout: Required value`);
  return {
    ...{ name, failurePolicy, version },
    ask: await asker(connectionInfo.kubeConfigFile),
    timeoutMs: parseDuration(timeout),
    authorizedTtlMs: parseDuration(webhook?.authorizedTTL ?? '5m'),
    unauthorizedTtlMs: parseDuration(webhook?.unauthorizedTTL ?? '30s'),
    matchConditions: matchConditions.map(({ expression }) => expression),
  };
}

/** Lines of `token,user,uid[,"group1,group2"]` (--token-auth-file). Throws for a line with fewer parts. */
export function parseTokenFile(text: string): Map<string, UserInfo> {
  const tokens = new Map<string, UserInfo>();
  for (const [i, line] of text.split('\n').entries()) {
    if (line.trim() === '' || line.startsWith('#')) continue;
    const cells = [...line.matchAll(/"([^"]*)"|([^,]+)/g)].map(([, quoted, plain]) =>
      (quoted ?? plain ?? '').trim(),
    );
    const [token = '', name = '', uid = '', groups = ''] = cells;
    if (token === '' || name === '' || cells.length < 3) {
      throw new Error(`Token file: line ${i + 1} needs token, user name and uid`);
    }
    const named = groups.split(',').filter((group) => group !== '');
    tokens.set(digest(token), { name, uid, groups: [...named, 'system:authenticated'] });
  }
  return tokens;
}

/** Reads an AuthenticationConfiguration. Throws Error that names what is wrong. */
export function authenticationConfigOf(data: unknown): {
  jwt: JwtOptions[];
  anonymous: { enabled: boolean; paths: string[] } | undefined;
} {
  if (!isObject(data) || data.kind !== 'AuthenticationConfiguration') {
    throw new Error('The authentication configuration must be an AuthenticationConfiguration');
  }
  const jwt = (data.jwt ?? []) as JwtOptions[];
  const urls = new Set<string>();
  for (const [i, one] of jwt.entries()) {
    const at = `Authentication configuration: jwt[${i}]`;
    checkIssuer(one.issuer, `${at}.issuer`);
    if (urls.has(one.issuer.url)) {
      throw new Error(`${at}.issuer.url: Duplicate value: ${JSON.stringify(one.issuer.url)}`);
    }
    urls.add(one.issuer.url);
    const { username, groups } = one.claimMappings ?? {};
    if (!username) throw new Error(`${at}.claimMappings.username: Required value`);
    checkMapping(username, `${at}.claimMappings.username`);
    if (groups) checkMapping(groups, `${at}.claimMappings.groups`);
  }
  const { anonymous } = data as {
    anonymous?: { enabled?: boolean; conditions?: { path: string }[] };
  };
  return {
    jwt,
    anonymous: anonymous && {
      enabled: anonymous.enabled === true,
      paths: (anonymous.conditions ?? []).map(({ path }) => path),
    },
  };
}

function checkIssuer(issuer: JwtOptions['issuer'] | undefined, at: string): void {
  const { url, audiences = [], audienceMatchPolicy, discoveryURL } = issuer ?? {};
  if (!url?.startsWith('https://')) throw new Error(`${at}.url: must be https`);
  if (discoveryURL !== undefined && !discoveryURL.startsWith('https://')) {
    throw new Error(`${at}.discoveryURL: must be https`);
  }
  if (audiences.length === 0) throw new Error(`${at}.audiences: Required value`);
  if (audiences.length > 1 && audienceMatchPolicy !== 'MatchAny') {
    throw new Error(`${at}.audienceMatchPolicy: must be MatchAny for multiple audiences`);
  }
}

/** Others must not be able to name our users by an oversight: a prefix is said, be it that there is none. */
function checkMapping(
  { claim, prefix, expression }: JwtOptions['claimMappings']['username'],
  at: string,
): void {
  if (claim && expression) throw new Error(`${at}: expression and claim can't both be set`);
  if (!claim && !expression) throw new Error(`${at}: claim or expression is required`);
  if (claim && prefix === undefined) {
    throw new Error(
      `${at}.prefix: prefix is required when claim is set. It can be set to an empty string to disable prefixing`,
    );
  }
  if (expression && prefix !== undefined) {
    throw new Error(`${at}.prefix: prefix can't be set when expression is set`);
  }
}
