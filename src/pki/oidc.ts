import { request } from 'node:https';
import { createLocalJWKSet, decodeJwt, type JWTPayload, jwtVerify } from 'jose';

/** An issuer of ID tokens that is believed (OpenID Connect Core 1.0). */
export interface OidcIssuer {
  readonly url: string;
  /** Where its discovery document is, when that is elsewhere. */
  readonly discoveryUrl?: string | undefined;
  /** PEM: whom to believe at its address. Absent: the machine's authorities. */
  readonly certificateAuthority?: string | undefined;
  readonly audiences: readonly string[];
}

const KEYS_MS = 5 * 60 * 1000;
const TIMEOUT_MS = 10_000;
const MAX_BYTES = 1024 * 1024;
const ALGORITHMS = [
  'RS256',
  'RS384',
  'RS512',
  'ES256',
  'ES384',
  'ES512',
  'PS256',
  'PS384',
  'PS512',
];

/** Verifies the tokens of one issuer by the keys that it publishes, which are fetched when they are needed. */
export class OidcVerifier {
  readonly #issuer: OidcIssuer;
  #keys: { set: ReturnType<typeof createLocalJWKSet>; at: number } | undefined;

  constructor(issuer: OidcIssuer) {
    this.#issuer = issuer;
  }

  /** Whether the token says that it is of this issuer. Nothing is verified. */
  isOurs(token: string): boolean {
    try {
      return decodeJwt(token).iss === this.#issuer.url;
    } catch {
      return false;
    }
  }

  /** Fetches the keys unless they are known. Rejects when the issuer cannot be asked. */
  async learnKeys(now: number): Promise<void> {
    await this.#keySet(now, false);
  }

  /** The claims of a good token; undefined for any other. Rejects when the issuer cannot be asked. `now` in milliseconds. */
  async verify(token: string, now: number): Promise<JWTPayload | undefined> {
    // A key that is not known may be new: fetched again, but not at every bad token.
    for (const isFresh of [false, true]) {
      const keys = await this.#keySet(now, isFresh);
      try {
        const { payload } = await jwtVerify(token, keys, {
          issuer: this.#issuer.url,
          audience: [...this.#issuer.audiences],
          algorithms: ALGORITHMS,
          currentDate: new Date(now),
        });
        return payload;
      } catch (err) {
        if ((err as { code?: string }).code !== 'ERR_JWKS_NO_MATCHING_KEY') return undefined;
      }
    }
    return undefined;
  }

  async #keySet(now: number, isFresh: boolean) {
    const age = now - (this.#keys?.at ?? Number.NEGATIVE_INFINITY);
    if (this.#keys && age < (isFresh ? TIMEOUT_MS : KEYS_MS)) return this.#keys.set;
    const { url, discoveryUrl } = this.#issuer;
    const from = discoveryUrl ?? `${url.replace(/\/$/, '')}/.well-known/openid-configuration`;
    const { issuer, jwks_uri: keysUrl } = (await this.#fetch(from)) as Record<string, string>;
    if (issuer !== url || !keysUrl) throw new Error(`The issuer ${url} calls itself ${issuer}`);
    const set = createLocalJWKSet((await this.#fetch(keysUrl)) as never);
    this.#keys = { set, at: now };
    return set;
  }

  /** Redirects are not followed: keys come from where the configuration says. */
  #fetch(url: string): Promise<unknown> {
    const { certificateAuthority: ca } = this.#issuer;
    const options = { signal: AbortSignal.timeout(TIMEOUT_MS), ...(ca ? { ca } : {}) };
    return new Promise((resolve, reject) => {
      const asked = request(url, options, (res) => {
        let text = '';
        res.setEncoding('utf8');
        res.on('data', (chunk: string) => {
          text += chunk;
          if (text.length > MAX_BYTES)
            asked.destroy(new Error(`The answer of ${url} is too large`));
        });
        res.on('error', reject);
        res.on('end', () => {
          if (res.statusCode !== 200) reject(new Error(`${url} answered ${res.statusCode}`));
          else resolve(JSON.parse(text));
        });
      });
      asked.on('error', reject);
      asked.end();
    });
  }
}
