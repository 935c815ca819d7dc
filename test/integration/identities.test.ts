import { request as httpsRequest } from 'node:https';
import { exportJWK, generateKeyPair, SignJWT } from 'jose';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseTokenFile } from '../../src/apiserver/identity-configuration.ts';
import { certificateEnd, createAuthority, issueCertificate } from '../../src/pki/ca.ts';
import { startApiServer, type TestApiServer } from '../support/api-server.ts';
import { type HttpsPeer, startHttpsPeer } from '../support/https-peer.ts';

interface Me {
  username: string;
  groups: string[];
  extra?: Record<string, string[]>;
}

/** Who the server takes a request for; undefined: nobody. */
async function whoAmI(
  server: TestApiServer,
  headers: Record<string, string>,
  tls: { cert?: string; key?: string } = {},
): Promise<Me | undefined> {
  const body = JSON.stringify({
    apiVersion: 'authentication.k8s.io/v1',
    kind: 'SelfSubjectReview',
  });
  const path = '/apis/authentication.k8s.io/v1/selfsubjectreviews';
  const options = { method: 'POST', rejectUnauthorized: false, ...tls };
  const more = { 'content-type': 'application/json', ...headers };
  const text = await new Promise<string>((resolve, reject) => {
    const asked = httpsRequest(server.url + path, { ...options, headers: more }, (res) => {
      let all = '';
      res.on('data', (chunk) => {
        all += chunk;
      });
      res.on('end', () => resolve(all));
    });
    asked.on('error', reject);
    asked.end(body);
  });
  return JSON.parse(text).status?.userInfo;
}

const bearer = (token: string) => ({ authorization: `Bearer ${token}` });

describe('authentication', () => {
  let server: TestApiServer;
  let issuer: HttpsPeer;
  let sign: (claims: Record<string, unknown>, more?: { issuer?: string }) => Promise<string>;
  let proxy: { certificate: string; key: string };
  let stranger: { certificate: string; key: string };
  beforeAll(async () => {
    const { publicKey, privateKey } = await generateKeyPair('ES256');
    const jwk = { ...(await exportJWK(publicKey)), kid: 'k1', alg: 'ES256' };
    issuer = await startHttpsPeer(({ path }) => ({
      body: path.includes('openid-configuration')
        ? {
            issuer: `https://localhost:${issuer.port}`,
            jwks_uri: `https://localhost:${issuer.port}/keys`,
          }
        : { keys: [jwk] },
    }));
    const url = `https://localhost:${issuer.port}`;
    sign = (claims, more = {}) =>
      new SignJWT({ aud: 'k8ts', exp: Math.floor(Date.now() / 1000) + 60, ...claims })
        .setIssuer(more.issuer ?? url)
        .setProtectedHeader({ alg: 'ES256', kid: 'k1' })
        .sign(privateKey);
    const now = Date.now();
    const front = await createAuthority('front-proxy-ca', now);
    const issue = (commonName: string) =>
      issueCertificate(
        front,
        { commonName, usages: ['client'], notAfter: certificateEnd(now) },
        now,
      );
    proxy = await issue('front-proxy-client');
    stranger = await issue('somebody');
    server = await startApiServer({
      requestHeader: { clientAuthority: front.certificate, allowedNames: ['front-proxy-client'] },
      staticTokens: parseTokenFile('s3cret,carol,7,"team,ops"\n'),
      anonymous: { enabled: true, paths: ['/livez'] },
      jwt: [
        {
          issuer: {
            url,
            audiences: ['k8ts'],
            certificateAuthority: Buffer.from(issuer.caBundle, 'base64').toString(),
          },
          claimValidationRules: [{ expression: "claims.tenant == 'ours'", message: 'not ours' }],
          claimMappings: {
            username: { expression: "'oidc:' + claims.sub" },
            groups: { claim: 'roles', prefix: 'oidc:' },
            extra: [{ key: 'example.com/tenant', valueExpression: 'claims.tenant' }],
          },
          userValidationRules: [{ expression: "!user.username.startsWith('system:')" }],
        },
      ],
    });
  });
  afterAll(async () => {
    await server.stop();
    await issuer.close();
  });

  it('believes a front proxy of its authority and name, and nobody else who says the same', async () => {
    const headers = {
      'x-remote-user': 'dave',
      'x-remote-group': 'team',
      'x-remote-extra-example.com%2fkey': 'v',
    };
    const asProxy = { cert: proxy.certificate, key: proxy.key };
    expect(await whoAmI(server, headers, asProxy)).toMatchObject({
      username: 'dave',
      groups: ['team', 'system:authenticated'],
      extra: { 'example.com/key': ['v'] },
    });
    expect(await whoAmI(server, headers)).toBeUndefined();
    const other = { cert: stranger.certificate, key: stranger.key };
    expect(await whoAmI(server, headers, other)).toBeUndefined();
    // The proxy's own certificate names no user of this cluster.
    expect(await whoAmI(server, {}, asProxy)).toBeUndefined();
  });

  it('knows the tokens of its file', async () => {
    expect(await whoAmI(server, bearer('s3cret'))).toMatchObject({
      username: 'carol',
      groups: ['team', 'ops', 'system:authenticated'],
    });
    expect(await whoAmI(server, bearer('s3cre'))).toBeUndefined();
  });

  it('maps the claims of an issuer that it knows', async () => {
    const token = await sign({ sub: 'erin', tenant: 'ours', roles: ['dev'] });
    expect(await whoAmI(server, bearer(token))).toMatchObject({
      username: 'oidc:erin',
      groups: ['oidc:dev', 'system:authenticated'],
      extra: { 'example.com/tenant': ['ours'] },
    });
  });

  it.each([
    ['another audience', { sub: 'erin', tenant: 'ours', aud: 'another' }, {}],
    ['another issuer', { sub: 'erin', tenant: 'ours' }, { issuer: 'https://elsewhere' }],
    ['an end that has passed', { sub: 'erin', tenant: 'ours', exp: 1000 }, {}],
    ['claims that a rule refuses', { sub: 'erin', tenant: 'theirs' }, {}],
  ])('refuses a token of %s', async (_, claims, more) => {
    expect(await whoAmI(server, bearer(await sign(claims, more)))).toBeUndefined();
  });

  it('lets nobody in without credentials but to the paths that it names', async () => {
    expect(await whoAmI(server, {})).toBeUndefined();
    const get = (path: string) =>
      new Promise<number>((resolve, reject) => {
        const asked = httpsRequest(server.url + path, { rejectUnauthorized: false }, (res) => {
          res.resume();
          resolve(res.statusCode ?? 0);
        });
        asked.on('error', reject);
        asked.end();
      });
    expect(await get('/livez')).toBe(200);
    expect(await get('/readyz')).toBe(401);
  });
});

describe('authorization by webhook', () => {
  let server: TestApiServer;
  const asked: { spec: { user: string; resourceAttributes?: Record<string, unknown> } }[] = [];
  beforeAll(async () => {
    server = await startApiServer({
      authorizationModes: [
        {
          name: 'test',
          version: 'v1',
          timeoutMs: 1000,
          authorizedTtlMs: 60_000,
          unauthorizedTtlMs: 60_000,
          failurePolicy: 'Deny',
          matchConditions: ["request.user != 'system:skipped'"],
          ask: async (review) => {
            const { spec } = review as (typeof asked)[number];
            asked.push({ spec });
            if (spec.user === 'broken') throw new Error('no answer');
            if (spec.user === 'denied')
              return { status: { allowed: false, denied: true, reason: 'no' } };
            return { status: { allowed: spec.user === 'allowed' } };
          },
        },
        'RBAC',
      ],
    });
  });
  afterAll(() => server.stop());

  const list = async (name: string, query = '') =>
    (await server.as({ name, groups: ['system:authenticated'] }))(
      'GET',
      `/api/v1/namespaces/default/pods${query}`,
    );

  it('allows, denies and leaves it to the next, and tells the selectors that are asked with', async () => {
    const query = '?labelSelector=a%3Db&fieldSelector=spec.nodeName%3Dn';
    expect((await list('allowed', query)).status).toBe(200);
    expect(asked[0]?.spec.resourceAttributes).toMatchObject({
      verb: 'list',
      resource: 'pods',
      labelSelector: { requirements: [{ key: 'a', operator: 'In', values: ['b'] }] },
      fieldSelector: { requirements: [{ key: 'spec.nodeName', operator: 'In', values: ['n'] }] },
    });
    const denied = await list('denied');
    expect(denied.status).toBe(403);
    expect(denied.body.message).toContain(': no');
    expect((await list('unknown')).status).toBe(403);
  });

  it('remembers, skips who does not match, and is shut when it gets no answer', async () => {
    const before = asked.length;
    await list('unknown');
    await list('system:skipped');
    expect(asked).toHaveLength(before);
    expect((await list('broken')).status).toBe(403);
  });
});
