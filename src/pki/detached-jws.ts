import { createHmac, timingSafeEqual } from 'node:crypto';

const encode = (text: string): string => Buffer.from(text).toString('base64url');

/**
 * A JSON Web Signature without its content (RFC 7515, appendix F), by HS256: how cluster information is signed with
 * the bootstrap tokens that may read it.
 */
export function signDetached(content: string, token: { id: string; secret: string }): string {
  const header = encode(JSON.stringify({ alg: 'HS256', kid: token.id }));
  return `${header}..${signatureOf(header, content, token.secret)}`;
}

/** Whether `jws` is the signature of `content` by this token. */
export function verifyDetached(
  content: string,
  jws: string,
  token: { id: string; secret: string },
): boolean {
  const [header = '', payload, signature = ''] = jws.split('.');
  if (payload !== '' || !isHeaderOf(header, token.id)) return false;
  const expected = Buffer.from(signatureOf(header, content, token.secret));
  const found = Buffer.from(signature);
  return expected.length === found.length && timingSafeEqual(expected, found);
}

function isHeaderOf(text: string, id: string): boolean {
  try {
    const header = JSON.parse(Buffer.from(text, 'base64url').toString()) as Record<string, unknown>;
    return header.alg === 'HS256' && header.kid === id;
  } catch {
    return false;
  }
}

function signatureOf(header: string, content: string, secret: string): string {
  return createHmac('sha256', secret)
    .update(`${header}.${encode(content)}`)
    .digest('base64url');
}
