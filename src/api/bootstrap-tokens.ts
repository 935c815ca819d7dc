import { timingSafeEqual } from 'node:crypto';
import type { ConfigMap, Secret } from './types.ts';

/**
 * Bootstrap tokens: Secrets of kube-system by which new nodes get in and recognise the cluster.
 * https://kubernetes.io/docs/reference/access-authn-authz/bootstrap-tokens/
 */
export const TOKEN_NAMESPACE = 'kube-system';
export const TOKEN_SECRET_TYPE = 'bootstrap.kubernetes.io/token';
export const TOKEN_SECRET_PREFIX = 'bootstrap-token-';
export const BOOTSTRAPPERS = 'system:bootstrappers';
/** Where the signed cluster information is. */
export const CLUSTER_INFO = { namespace: 'kube-public', name: 'cluster-info' } as const;
export const JWS_PREFIX = 'jws-kubeconfig-';

const TOKEN = /^([a-z0-9]{6})\.([a-z0-9]{16})$/;
const EXTRA_GROUP = /^system:bootstrappers:[a-z0-9:-]{0,255}[a-z0-9]$/;

/** The two parts of `ID.SECRET`; undefined for any other text. */
export function parseBootstrapToken(text: string): { id: string; secret: string } | undefined {
  const [, id, secret] = TOKEN.exec(text) ?? [];
  return id === undefined || secret === undefined ? undefined : { id, secret };
}

/** What a token's Secret says, once it is known to make sense. */
export interface BootstrapToken {
  readonly id: string;
  readonly secret: string;
  /** Milliseconds since the epoch; undefined: never. */
  readonly expires: number | undefined;
  /** May be used to get in. */
  readonly authenticates: boolean;
  /** May be used to recognise the cluster. */
  readonly signs: boolean;
  readonly groups: readonly string[];
}

/** Reads a token's Secret. Undefined when it is none, or says nonsense: such a token is good for nothing. */
export function bootstrapTokenOf(secret: Secret): BootstrapToken | undefined {
  const read = (key: string): string =>
    Buffer.from(secret.data?.[key] ?? '', 'base64').toString('utf8');
  const [id, value] = [read('token-id'), read('token-secret')];
  const { name, deletionTimestamp } = secret.metadata;
  if (secret.type !== TOKEN_SECRET_TYPE || deletionTimestamp !== undefined) return undefined;
  if (name !== TOKEN_SECRET_PREFIX + id || !TOKEN.test(`${id}.${value}`)) return undefined;
  const expiration = read('expiration');
  const expires = expiration === '' ? undefined : Date.parse(expiration);
  const groups = read('auth-extra-groups')
    .split(',')
    .filter((group) => group !== '');
  // A date that cannot be read must not mean "for ever".
  if (Number.isNaN(expires) || !groups.every((group) => EXTRA_GROUP.test(group))) return undefined;
  return {
    id,
    secret: value,
    expires,
    authenticates: read('usage-bootstrap-authentication') === 'true',
    signs: read('usage-bootstrap-signing') === 'true',
    groups: [...new Set([BOOTSTRAPPERS, ...groups])],
  };
}

/** `now` in milliseconds. */
export function isExpired({ expires }: Pick<BootstrapToken, 'expires'>, now: number): boolean {
  return expires !== undefined && expires <= now;
}

/** Compares secrets in a time that tells nothing about them. */
export function sameSecret(a: string, b: string): boolean {
  const [x, y] = [Buffer.from(a), Buffer.from(b)];
  return x.length === y.length && timingSafeEqual(x, y);
}

/** The kubeconfig that cluster information holds. */
export function kubeconfigIn(info: ConfigMap): string {
  return info.data?.kubeconfig ?? '';
}
