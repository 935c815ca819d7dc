import { ApiError } from '../../api/errors.ts';
import {
  type BoundClaims,
  isLegacy,
  type TokenVerifier,
} from '../../pki/service-account-tokens.ts';
import type { Clock } from '../../util/clock.ts';
import type { KindRegistry } from '../kind-registry.ts';
import type { UserInfo } from '../resource-kind.ts';
import type { ResourceStore } from '../resource-store.ts';
import type { Authenticator } from './authenticator.ts';

export interface ServiceAccountAuthDeps {
  readonly verifier: TokenVerifier;
  readonly audiences: readonly string[];
  readonly kinds: KindRegistry;
  readonly store: ResourceStore;
  readonly clock: Clock;
}

interface Verified {
  readonly claims: BoundClaims;
  readonly jti: string | undefined;
  /** Milliseconds since the epoch. */
  readonly until: number;
}

// Signatures are dear to check; whether the account still lives is looked up each time.
const CACHE_SIZE = 2000;

/** Bearer tokens of service accounts: signed by us, for us, and their account, Pod, Secret or Node still lives. */
export class ServiceAccountAuthenticator implements Authenticator {
  readonly name = 'service-account';
  readonly #deps: ServiceAccountAuthDeps;
  readonly #verified = new Map<string, Verified>();

  constructor(deps: ServiceAccountAuthDeps) {
    this.#deps = deps;
  }

  async authenticate(
    req: { headers: { authorization?: string | undefined } },
    audiences = this.#deps.audiences,
  ): Promise<UserInfo | undefined> {
    const token = bearerToken(req.headers.authorization);
    if (token === undefined || !this.#deps.verifier.isOurs(token)) return undefined;
    const user = await this.userOf(token, audiences);
    if (!user) throw new ApiError('Unauthorized', 'Unauthorized');
    return user;
  }

  /** Whose token this is, if it is valid for one of these audiences. */
  async userOf(token: string, audiences: readonly string[]): Promise<UserInfo | undefined> {
    const verified = await this.#verify(token, audiences);
    if (!verified || !(await this.#isAlive(verified.claims))) return undefined;
    return userInfo(verified);
  }

  async #verify(token: string, audiences: readonly string[]): Promise<Verified | undefined> {
    const now = this.#deps.clock.now();
    const cacheKey = `${audiences.join(' ')} ${token}`;
    const known = this.#verified.get(cacheKey);
    if (known && known.until > now) return known;
    const claims = await this.#deps.verifier.verify(token, now);
    const meant = [claims?.aud ?? []].flat();
    if (!claims) return undefined;
    const forUs = audiences.some((audience) => this.#deps.audiences.includes(audience));
    const fits = isLegacy(claims) ? forUs : meant.some((audience) => audiences.includes(audience));
    if (!fits) return undefined;
    const until = (claims.exp ?? 0) * 1000;
    const verified = { claims: claims['kubernetes.io'], jti: claims.jti, until };
    if (this.#verified.size >= CACHE_SIZE) this.#verified.clear();
    this.#verified.set(cacheKey, verified);
    return verified;
  }

  async #isAlive({ namespace, serviceaccount, pod, secret, node }: BoundClaims): Promise<boolean> {
    const checks: [string, string, { name: string; uid?: string | undefined }][] = [
      ['serviceaccounts', namespace, serviceaccount],
      ...(pod ? [['pods', namespace, pod] as [string, string, typeof pod]] : []),
      ...(secret ? [['secrets', namespace, secret] as [string, string, typeof secret]] : []),
      // A Pod's token names its node only as a hint.
      ...(node && !pod ? [['nodes', '', node] as [string, string, typeof node]] : []),
    ];
    for (const [resource, where, { name, uid }] of checks) {
      if (!(await this.#lives(resource, { namespace: where, name }, uid))) return false;
    }
    return true;
  }

  async #lives(
    resource: string,
    key: { namespace: string; name: string },
    uid: string | undefined,
  ): Promise<boolean> {
    const kind = this.#deps.kinds.get('', 'v1', resource);
    const found = kind && (await this.#deps.store.find(kind, key));
    if (!found || (uid !== undefined && found.metadata.uid !== uid)) return false;
    const { deletionTimestamp, labels } = found.metadata;
    if (labels?.[INVALID_SINCE] !== undefined) return false;
    // A Pod that is told to stop may use its token until shortly after.
    return !deletionTimestamp || Date.parse(deletionTimestamp) + GRACE_MS > this.#deps.clock.now();
  }
}

const GRACE_MS = 60_000;
/** On a Secret whose token nobody used for long (KEP-2799). */
const INVALID_SINCE = 'kubernetes.io/legacy-token-invalid-since';

function userInfo({ claims, jti }: Verified): UserInfo {
  const { namespace, serviceaccount, pod, node } = claims;
  const prefix = 'authentication.kubernetes.io';
  return {
    name: `system:serviceaccount:${namespace}:${serviceaccount.name}`,
    uid: serviceaccount.uid,
    groups: [
      'system:serviceaccounts',
      `system:serviceaccounts:${namespace}`,
      'system:authenticated',
    ],
    extra: {
      ...(jti === undefined ? {} : { [`${prefix}/credential-id`]: [`JTI=${jti}`] }),
      ...(pod ? { [`${prefix}/pod-name`]: [pod.name], [`${prefix}/pod-uid`]: [pod.uid] } : {}),
      ...(node ? { [`${prefix}/node-name`]: [node.name] } : {}),
      ...(node?.uid ? { [`${prefix}/node-uid`]: [node.uid] } : {}),
    },
  };
}

export function bearerToken(header: string | undefined): string | undefined {
  return /^bearer +(\S+)$/i.exec(header ?? '')?.[1];
}
