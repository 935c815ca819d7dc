import { webcrypto } from 'node:crypto';

/** A key pair as PEM: PKCS#8 and SubjectPublicKeyInfo, which Go's and Node's TLS both read. */
export interface KeyPair {
  readonly privateKey: string;
  readonly publicKey: string;
}

/** WebCrypto's name of what every key here is: P-256 keys are made in a millisecond, RSA ones in a second. */
export const EC_P256 = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;

/** A new EC P-256 key pair. */
export async function generateKeyPair(): Promise<KeyPair> {
  const { subtle } = webcrypto;
  const pair = await subtle.generateKey(EC_P256, true, ['sign', 'verify']);
  const [pkcs8, spki] = await Promise.all([
    subtle.exportKey('pkcs8', pair.privateKey),
    subtle.exportKey('spki', pair.publicKey),
  ]);
  return { privateKey: toPem('PRIVATE KEY', pkcs8), publicKey: toPem('PUBLIC KEY', spki) };
}

/** DER wrapped in base64 lines of 64 characters (RFC 7468). */
export function toPem(label: string, der: ArrayBuffer | Uint8Array): string {
  const bytes = der instanceof Uint8Array ? der : new Uint8Array(der);
  const lines =
    Buffer.from(bytes)
      .toString('base64')
      .match(/.{1,64}/g) ?? [];
  return `-----BEGIN ${label}-----\n${lines.join('\n')}\n-----END ${label}-----\n`;
}
