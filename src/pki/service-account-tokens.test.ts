import { generateKeyPairSync } from 'node:crypto';
import { SignJWT, UnsecuredJWT } from 'jose';
import { describe, expect, it } from 'vitest';
import { TokenSigner, TokenVerifier } from './service-account-tokens.ts';

const ISSUER = 'https://issuer';
const NOW = Date.UTC(2026, 0, 1);
const seconds = NOW / 1000;
const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
const other = generateKeyPairSync('rsa', { modulusLength: 2048 });
const verifier = new TokenVerifier([publicKey], [ISSUER]);
const bound = { namespace: 'ns', serviceaccount: { name: 'a', uid: 'u' } };
const claims = { iss: ISSUER, exp: seconds + 60, nbf: seconds, 'kubernetes.io': bound };
const sign = (more: object = {}, key = privateKey) =>
  new TokenSigner(key).sign({ ...claims, ...more });

describe('TokenVerifier', () => {
  it('believes what its key has signed, for as long as that says', async () => {
    const token = await sign();
    expect(await verifier.verify(token, NOW)).toMatchObject(claims);
    expect(await verifier.verify(token, NOW + 59_000)).toBeDefined();
    expect(await verifier.verify(token, NOW + 61_000)).toBeUndefined();
    expect(await verifier.verify(token, NOW - 1000)).toBeUndefined();
  });

  it.each([
    ['of another key', () => sign({}, other.privateKey)],
    ['of another issuer', () => sign({ iss: 'https://elsewhere' })],
    ['that says nothing of an account', () => sign({ 'kubernetes.io': undefined })],
    [
      'without a signature',
      async () => new UnsecuredJWT({ ...claims, exp: seconds + 60 }).encode(),
    ],
    [
      'signed with the public key as a password',
      () => {
        const secret = Buffer.from(publicKey.export({ type: 'spki', format: 'pem' }));
        return new SignJWT(claims).setProtectedHeader({ alg: 'HS256' }).sign(secret);
      },
    ],
    [
      'that was changed',
      async () => {
        const [head, body = '', signature] = (await sign()).split('.');
        const changed = JSON.parse(Buffer.from(body, 'base64url').toString());
        changed['kubernetes.io'].serviceaccount.name = 'admin';
        return [head, Buffer.from(JSON.stringify(changed)).toString('base64url'), signature].join(
          '.',
        );
      },
    ],
    ['that is none', async () => 'a.b.c'],
  ])('does not believe a token %s', async (_, make) => {
    expect(await verifier.verify(await make(), NOW)).toBeUndefined();
  });
});
