import { randomUUID } from 'node:crypto';
import {
  type BoundClaims,
  type TokenClaims,
  TokenSigner,
  TokenVerifier,
} from '../pki/service-account-tokens.ts';
import type { ServiceAccountOptions } from './options.ts';

export interface TokenIssuer {
  readonly signer: TokenSigner;
  /** --service-account-issuer */
  readonly issuer: string;
  /** Who a token is for that names nobody: the API server itself. */
  readonly audiences: readonly string[];
}

export interface TokenWish {
  readonly audiences: readonly string[];
  readonly expirationSeconds: number;
  readonly bound: BoundClaims;
}

/** What the kubelet asks for on behalf of Pods; such a token lives on for a year, but warns of late use (KEP-1205). */
const POD_TOKEN_SECONDS = 60 * 60 + 7;
const EXTENDED_SECONDS = 365 * 24 * 60 * 60;

/** The claims of a new token. `now` in milliseconds. */
export function claimsFor(issuer: TokenIssuer, wish: TokenWish, now: number): TokenClaims {
  const seconds = Math.floor(now / 1000);
  const { namespace, serviceaccount } = wish.bound;
  const extended =
    wish.expirationSeconds === POD_TOKEN_SECONDS &&
    wish.bound.pod !== undefined &&
    wish.audiences.every((audience) => issuer.audiences.includes(audience));
  const bound = extended
    ? { ...wish.bound, warnafter: seconds + wish.expirationSeconds }
    : wish.bound;
  return {
    aud: [...wish.audiences],
    exp: seconds + (extended ? EXTENDED_SECONDS : wish.expirationSeconds),
    iat: seconds,
    iss: issuer.issuer,
    jti: randomUUID(),
    'kubernetes.io': bound,
    nbf: seconds,
    sub: `system:serviceaccount:${namespace}:${serviceaccount.name}`,
  };
}

/** What signs and verifies service account tokens here. */
export interface TokenService {
  readonly verifier: TokenVerifier;
  /** Absent: tokens are only verified. */
  readonly issuer: TokenIssuer | undefined;
  readonly issuerUrl: string;
  readonly audiences: readonly string[];
}

export function tokenService(options: ServiceAccountOptions | undefined): TokenService | undefined {
  if (!options) return undefined;
  const { issuer, signingKey, verificationKeys } = options;
  const audiences = options.audiences ?? [issuer];
  return {
    verifier: new TokenVerifier(verificationKeys, [issuer]),
    issuer: signingKey && { signer: new TokenSigner(signingKey), issuer, audiences },
    issuerUrl: issuer,
    audiences,
  };
}
