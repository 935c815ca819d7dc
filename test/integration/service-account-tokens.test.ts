import { generateKeyPairSync } from 'node:crypto';
import { createLocalJWKSet, decodeJwt, decodeProtectedHeader, jwtVerify } from 'jose';
import { afterEach, describe, expect, it } from 'vitest';
import { MemoryStorage } from '../../src/storage/memory.fake.ts';
import { realClock } from '../../src/util/clock.ts';
import { startApiServer, type TestApiServer } from '../support/api-server.ts';

const ISSUER = 'https://kubernetes.default.svc.cluster.local';
const ACCOUNTS = '/api/v1/namespaces/default/serviceaccounts';
const [first, second] = [keyPair(), keyPair()];

function keyPair() {
  return generateKeyPairSync('rsa', { modulusLength: 2048 });
}

let server: TestApiServer;
afterEach(() => server.stop());

async function start(
  signing: typeof first,
  verifying: readonly (typeof first)[],
  storage = new MemoryStorage(realClock),
): Promise<void> {
  const verificationKeys = verifying.map(({ publicKey }) => publicKey);
  const serviceAccounts = { issuer: ISSUER, signingKey: signing.privateKey, verificationKeys };
  server = await startApiServer({ serviceAccounts }, storage);
  const body = { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'robot' } };
  await server.request('POST', ACCOUNTS, { body });
}

const request = (spec: object, name = 'robot') =>
  server.request('POST', `${ACCOUNTS}/${name}/token`, {
    body: { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec },
  });
const tokenOf = async (spec: object = {}): Promise<string> => {
  const { status, text, body } = await request(spec);
  if (status !== 201) throw new Error(text);
  return body.status.token;
};

async function review(token: string, audiences?: string[]) {
  const path = '/apis/authentication.k8s.io/v1/tokenreviews';
  const spec = { token, ...(audiences ? { audiences } : {}) };
  const body = { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenReview', spec };
  return (await server.request('POST', path, { body })).body.status;
}

describe('a service account token', () => {
  it('says whose it is, for whom and until when', async () => {
    await start(first, [first]);
    const made = await request({ audiences: ['vault', ISSUER], expirationSeconds: 1200 });
    const claims = decodeJwt(made.body.status.token);
    expect(claims).toMatchObject({
      iss: ISSUER,
      sub: 'system:serviceaccount:default:robot',
      aud: ['vault', ISSUER],
      'kubernetes.io': { namespace: 'default', serviceaccount: { name: 'robot' } },
    });
    expect((claims.exp ?? 0) - (claims.iat ?? 0)).toBe(1200);
    expect(Date.parse(made.body.status.expirationTimestamp)).toBe((claims.exp ?? 0) * 1000);
    expect(await review(made.body.status.token)).toMatchObject({
      authenticated: true,
      audiences: [ISSUER],
      user: {
        username: 'system:serviceaccount:default:robot',
        groups: [
          'system:serviceaccounts',
          'system:serviceaccounts:default',
          'system:authenticated',
        ],
        extra: { 'authentication.kubernetes.io/credential-id': [`JTI=${claims.jti}`] },
      },
    });
    expect(await review(made.body.status.token, ['vault'])).toMatchObject({ audiences: ['vault'] });
    expect(await review(made.body.status.token, ['else'])).toMatchObject({ authenticated: false });
  });

  it('lives as long as what it is bound to', async () => {
    await start(first, [first]);
    const { metadata } = (
      await server.request('POST', '/api/v1/namespaces/default/secrets', {
        body: { apiVersion: 'v1', kind: 'Secret', metadata: { name: 's' } },
      })
    ).body;
    const boundObjectRef = { kind: 'Secret', apiVersion: 'v1', name: 's', uid: metadata.uid };
    const token = await tokenOf({ boundObjectRef });
    expect(await review(token)).toMatchObject({ authenticated: true });
    await server.request('DELETE', '/api/v1/namespaces/default/secrets/s');
    expect(await review(token)).toMatchObject({ authenticated: false });
    const gone = { ...boundObjectRef, uid: 'another' };
    expect((await request({ boundObjectRef: gone })).status).toBe(404);
    await server.request('DELETE', `${ACCOUNTS}/robot`);
    expect(await review(await oldToken())).toMatchObject({ authenticated: false });

    /** Of an account of the same name that is there no more. */
    async function oldToken(): Promise<string> {
      const body = { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'robot' } };
      await server.request('POST', ACCOUNTS, { body });
      const made = await tokenOf();
      await server.request('DELETE', `${ACCOUNTS}/robot`);
      await server.request('POST', ACCOUNTS, { body });
      return made;
    }
  });

  it('has a life of ten minutes at least', async () => {
    await start(first, [first]);
    const { status, body } = await request({ expirationSeconds: 599 });
    expect(status).toBe(422);
    expect(body.message).toContain('may not specify a duration less than 10 minutes');
  });
});

describe('the issuer', () => {
  it('lets others verify its tokens: discovery and keys are those that they are signed with', async () => {
    await start(first, [first]);
    const account = await server.as({ name: 'x', groups: ['system:serviceaccounts'] });
    const { status, body } = await account('GET', '/.well-known/openid-configuration');
    expect(status).toBe(200);
    expect(body).toMatchObject({
      issuer: ISSUER,
      response_types_supported: ['id_token'],
      subject_types_supported: ['public'],
      id_token_signing_alg_values_supported: ['RS256'],
    });
    expect(new URL(body.jwks_uri).pathname).toBe('/openid/v1/jwks');
    const keys = createLocalJWKSet((await account('GET', '/openid/v1/jwks')).body);
    const { payload } = await jwtVerify(await tokenOf(), keys, { issuer: ISSUER });
    expect(payload.sub).toBe('system:serviceaccount:default:robot');
    const nobody = await server.as({ name: 'y', groups: [] });
    expect((await nobody('GET', '/openid/v1/jwks')).status).toBe(403);
  });

  it('changes its key: old tokens are good as long as their key is believed', async () => {
    const storage = new MemoryStorage(realClock);
    await start(first, [first], storage);
    const old = await tokenOf();
    await server.stop();
    await start(second, [second, first], storage);
    const fresh = await tokenOf();
    expect(decodeProtectedHeader(fresh).kid).not.toBe(decodeProtectedHeader(old).kid);
    for (const token of [old, fresh]) {
      expect(await review(token)).toMatchObject({ authenticated: true });
    }
    expect((await server.request('GET', '/openid/v1/jwks')).body.keys).toHaveLength(2);
    await server.stop();
    await start(second, [second], storage);
    expect(await review(old)).toMatchObject({ authenticated: false });
    expect(await review(fresh)).toMatchObject({ authenticated: true });
  });
});
