import { createHash, createPublicKey, type KeyObject } from 'node:crypto';
import { type JWK, type JWTPayload, jwtVerify, SignJWT } from 'jose';

/** What a service account token says (KEP-1205), besides the registered claims. */
export interface BoundClaims {
  readonly namespace: string;
  readonly serviceaccount: { readonly name: string; readonly uid: string };
  readonly pod?: { readonly name: string; readonly uid: string } | undefined;
  readonly secret?: { readonly name: string; readonly uid?: string | undefined } | undefined;
  readonly node?: { readonly name: string; readonly uid?: string | undefined } | undefined;
  /** Seconds since the epoch; a token that is used later is told of. */
  readonly warnafter?: number | undefined;
}

export interface TokenClaims extends JWTPayload {
  readonly 'kubernetes.io': BoundClaims;
}

const CLAIM = 'kubernetes.io';

/** Tokens in Secrets have this issuer whatever the server's is, no audience, and no end. */
const LEGACY_ISSUER = 'kubernetes/serviceaccount';
const LEGACY = 'kubernetes.io/serviceaccount/';

/** What the token in a Secret says (upstream's LegacyClaims). */
export function legacyClaims(of: {
  namespace: string;
  secret: string;
  account: { name: string; uid: string };
}): JWTPayload {
  return {
    iss: LEGACY_ISSUER,
    sub: `system:serviceaccount:${of.namespace}:${of.account.name}`,
    [`${LEGACY}namespace`]: of.namespace,
    [`${LEGACY}secret.name`]: of.secret,
    [`${LEGACY}service-account.name`]: of.account.name,
    [`${LEGACY}service-account.uid`]: of.account.uid,
  };
}

export function isLegacy({ iss }: JWTPayload): boolean {
  return iss === LEGACY_ISSUER;
}

/** Legacy claims in the form of the others. */
function modernized(payload: JWTPayload): TokenClaims {
  const text = (name: string) => String(payload[LEGACY + name] ?? '');
  const serviceaccount = { name: text('service-account.name'), uid: text('service-account.uid') };
  const secret = { name: text('secret.name') };
  return { ...payload, [CLAIM]: { namespace: text('namespace'), serviceaccount, secret } };
}

/** Signs tokens with one private key, as PEM. */
export class TokenSigner {
  readonly #key: KeyObject;
  readonly #algorithm: string;
  readonly #keyId: string;

  constructor(privateKey: KeyObject) {
    this.#key = privateKey;
    this.#algorithm = algorithmOf(privateKey);
    this.#keyId = keyIdOf(createPublicKey(privateKey.export({ type: 'pkcs8', format: 'pem' })));
  }

  sign(claims: JWTPayload): Promise<string> {
    return new SignJWT(claims)
      .setProtectedHeader({ alg: this.#algorithm, kid: this.#keyId })
      .sign(this.#key);
  }
}

/** Verifies tokens by any of several public keys. */
export class TokenVerifier {
  readonly #keys: readonly { id: string; key: KeyObject; algorithm: string }[];
  readonly #issuers: readonly string[];

  constructor(publicKeys: readonly KeyObject[], issuers: readonly string[]) {
    this.#keys = publicKeys.map((key) => ({ id: keyIdOf(key), key, algorithm: algorithmOf(key) }));
    this.#issuers = [...issuers, LEGACY_ISSUER];
  }

  /** True when a token is one of ours to judge: it names one of our issuers. */
  isOurs(token: string): boolean {
    try {
      const payload = JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString());
      return this.#issuers.includes(payload.iss);
    } catch {
      return false;
    }
  }

  /** The claims of a token whose signature, issuer and times are right; undefined for any other. `now` in milliseconds. */
  async verify(token: string, now: number): Promise<TokenClaims | undefined> {
    const id = headerOf(token).kid;
    const candidates = this.#keys.filter((key) => id === undefined || key.id === id);
    for (const { key, algorithm } of candidates.length > 0 ? candidates : this.#keys) {
      try {
        const { payload } = await jwtVerify(token, key, {
          issuer: [...this.#issuers],
          algorithms: [algorithm],
          currentDate: new Date(now),
        });
        if (isLegacy(payload)) return modernized(payload);
        if (payload[CLAIM]) return payload as TokenClaims;
      } catch {
        // Another key may have signed it.
      }
    }
    return undefined;
  }

  /** The JSON Web Key Set that lets others verify our tokens. */
  jwks(): { keys: JWK[] } {
    const keys = this.#keys.map(({ id, key, algorithm }) => ({
      use: 'sig',
      kid: id,
      alg: algorithm,
      ...(key.export({ format: 'jwk' }) as JWK),
    }));
    return { keys };
  }
}

function headerOf(token: string): Record<string, unknown> {
  try {
    return JSON.parse(Buffer.from(token.split('.')[0] ?? '', 'base64url').toString());
  } catch {
    return {};
  }
}

function algorithmOf(key: KeyObject): string {
  if (key.asymmetricKeyType === 'rsa') return 'RS256';
  const curves: Record<string, string> = {
    prime256v1: 'ES256',
    secp384r1: 'ES384',
    secp521r1: 'ES512',
  };
  const algorithm = curves[key.asymmetricKeyDetails?.namedCurve ?? ''];
  if (!algorithm) throw new Error(`Keys of type ${key.asymmetricKeyType} cannot sign tokens`);
  return algorithm;
}

/** Upstream's key id: the SHA-256 of the public key's DER form. */
function keyIdOf(publicKey: KeyObject): string {
  const der = publicKey.export({ type: 'spki', format: 'der' });
  return createHash('sha256').update(der).digest('base64url');
}
