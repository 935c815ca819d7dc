import { compactVerify } from 'jose';
import { describe, expect, it } from 'vitest';
import { signDetached, verifyDetached } from './detached-jws.ts';

const token = { id: 'abcdef', secret: '0123456789abcdef' };

describe('verifyDetached', () => {
  const jws = signDetached('content', token);

  it('accepts what signDetached made, and nothing else', () => {
    expect(verifyDetached('content', jws, token)).toBe(true);
    expect(verifyDetached('changed', jws, token)).toBe(false);
    expect(verifyDetached('content', jws, { ...token, secret: 'f'.repeat(16) })).toBe(false);
    expect(verifyDetached('content', jws, { ...token, id: 'fedcba' })).toBe(false);
    expect(verifyDetached('content', 'nonsense', token)).toBe(false);
    const none = Buffer.from('{"alg":"none","kid":"abcdef"}').toString('base64url');
    expect(verifyDetached('content', `${none}..`, token)).toBe(false);
  });

  it('is JWS as others read it', async () => {
    const [header, , signature] = jws.split('.');
    const whole = `${header}.${Buffer.from('content').toString('base64url')}.${signature}`;
    const { payload } = await compactVerify(whole, Buffer.from(token.secret));
    expect(Buffer.from(payload).toString()).toBe('content');
  });
});
