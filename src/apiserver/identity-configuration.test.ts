import { describe, expect, it } from 'vitest';
import { authenticationConfigOf, authorizersOf, parseTokenFile } from './identity-configuration.ts';

const CONFIG = 'apiserver.config.k8s.io/v1';

describe('authenticationConfigOf', () => {
  const jwt = (more: object = {}) => ({
    issuer: { url: 'https://a', audiences: ['x'] },
    claimMappings: { username: { claim: 'sub', prefix: '' } },
    ...more,
  });
  const read = (...list: object[]) =>
    authenticationConfigOf({ apiVersion: CONFIG, kind: 'AuthenticationConfiguration', jwt: list });

  it('reads several issuers, and where nobody needs a name', () => {
    const anonymous = { enabled: true, conditions: [{ path: '/livez' }] };
    const other = jwt({ issuer: { url: 'https://b', audiences: ['x'] } });
    const config = authenticationConfigOf({
      ...{
        apiVersion: CONFIG,
        kind: 'AuthenticationConfiguration',
        jwt: [jwt(), other],
        anonymous,
      },
    });
    expect(config.jwt.map(({ issuer }) => issuer.url)).toEqual(['https://a', 'https://b']);
    expect(config.anonymous).toEqual({ enabled: true, paths: ['/livez'] });
  });

  it.each<[string, object[]]>([
    ['jwt[0].issuer.url: must be https', [jwt({ issuer: { url: 'http://a', audiences: ['x'] } })]],
    ['jwt[0].issuer.audiences: Required value', [jwt({ issuer: { url: 'https://a' } })]],
    [
      'jwt[0].issuer.audienceMatchPolicy: must be MatchAny',
      [jwt({ issuer: { url: 'https://a', audiences: ['x', 'y'] } })],
    ],
    ['jwt[1].issuer.url: Duplicate value: "https://a"', [jwt(), jwt()]],
    ['jwt[0].claimMappings.username: Required value', [jwt({ claimMappings: {} })]],
    [
      'jwt[0].claimMappings.username.prefix: prefix is required when claim is set',
      [jwt({ claimMappings: { username: { claim: 'sub' } } })],
    ],
    [
      "jwt[0].claimMappings.username: expression and claim can't both be set",
      [jwt({ claimMappings: { username: { claim: 'sub', expression: 'claims.sub' } } })],
    ],
  ])('refuses: %s', (message, list) => expect(() => read(...list)).toThrow(message));
});

describe('authorizersOf', () => {
  const webhook = {
    timeout: '3s',
    subjectAccessReviewVersion: 'v1',
    failurePolicy: 'Deny',
    connectionInfo: { type: 'KubeConfigFile', kubeConfigFile: '/x' },
  };
  const read = (...authorizers: object[]) =>
    authorizersOf(
      { kind: 'AuthorizationConfiguration', authorizers },
      async () => async () => ({}),
    );

  it('reads authorizers in their order', async () => {
    const list = await read(
      { type: 'Webhook', name: 'hook', webhook },
      { type: 'Node', name: 'node' },
      { type: 'RBAC', name: 'rbac' },
    );
    expect(list[0]).toMatchObject({ name: 'hook', timeoutMs: 3000, authorizedTtlMs: 300_000 });
    expect(list.slice(1)).toEqual(['Node', 'RBAC']);
  });

  it.each<[string, object[]]>([
    ['authorizers: at least one is required', []],
    ['authorizers[0].name: Required value', [{ type: 'RBAC' }]],
    ['authorizers[0].type: unknown type "ABAC"', [{ type: 'ABAC', name: 'a' }]],
    [
      'authorizers[1].name: Duplicate value: "a"',
      [
        { type: 'Node', name: 'a' },
        { type: 'RBAC', name: 'a' },
      ],
    ],
    [
      'authorizers[0].webhook: may only be specified when type=Webhook',
      [{ type: 'RBAC', name: 'a', webhook }],
    ],
    [
      'authorizers[0].webhook.failurePolicy: must be Deny or NoOpinion',
      [{ type: 'Webhook', name: 'a', webhook: { ...webhook, failurePolicy: 'Allow' } }],
    ],
    [
      'authorizers[0].webhook.timeout: Required value',
      [{ type: 'Webhook', name: 'a', webhook: { ...webhook, timeout: undefined } }],
    ],
    [
      'authorizers[0].webhook.subjectAccessReviewVersion: must be v1 or v1beta1',
      [{ type: 'Webhook', name: 'a', webhook: { ...webhook, subjectAccessReviewVersion: 'v2' } }],
    ],
  ])('refuses: %s', async (message, list) => {
    await expect(read(...list)).rejects.toThrow(message);
  });
});

describe('parseTokenFile', () => {
  it('reads users with and without groups', () => {
    const users = [...parseTokenFile('t1,a,1,"g,h"\n# none\nt2,b,2\n').values()];
    expect(users).toEqual([
      { name: 'a', uid: '1', groups: ['g', 'h', 'system:authenticated'] },
      { name: 'b', uid: '2', groups: ['system:authenticated'] },
    ]);
    expect(() => parseTokenFile('t1,a\n')).toThrow('line 1');
  });
});
