import type { KeyObject } from 'node:crypto';
import type { ListenOptions } from '../http/server.ts';
import type { AdmissionOptions } from './admission/plugins.ts';
import type { FrontProxyCredentials } from './aggregation/front-proxy.ts';
import type { AuditOptions } from './auditor.ts';
import type { JwtOptions } from './authn/jwt.ts';
import type { AnonymousOptions } from './authn/static-tokens.ts';
import type { TokenWebhook } from './authn/webhook.ts';
import {
  AUTHORIZATION_MODES,
  type AuthorizationMode,
  type AuthorizerChoice,
} from './authz/authorization.ts';
import type { EncryptionRule } from './encryption-rules.ts';
import type { KubeletCredentials } from './kubelets.ts';
import type { UserInfo } from './resource-kind.ts';

export interface ApiServerOptions {
  readonly listen: ListenOptions;
  /** `ADDRESS:PORT` under which the cluster reaches this server. */
  readonly advertise: string;
  readonly kubelet?: KubeletCredentials | undefined;
  /** Towards aggregated API servers. */
  readonly frontProxy?: FrontProxyCredentials | undefined;
  /** What is told to aggregated API servers, so that they believe what this one says of its users. */
  readonly requestHeader?: RequestHeaderOptions | undefined;
  /** CIDRs of cluster IPs. */
  readonly serviceRanges?: readonly string[] | undefined;
  readonly nodePorts?: PortRange | undefined;
  readonly serviceAccounts?: ServiceAccountOptions | undefined;
  /** Other API servers use the same store (etcd). */
  readonly sharesStore?: boolean | undefined;
  /** Seats of all priority levels together. */
  readonly maxRequestsInFlight?: number | undefined;
  /** How long history is kept at least; 0: for ever. Default: five minutes. */
  readonly compactionIntervalMs?: number | undefined;
  /** How long it serves on after being asked to end, so that balancers can take it out first. Default: not at all. */
  readonly shutdownDelayMs?: number | undefined;
  /** Default: Node, RBAC. */
  readonly authorizationModes?: readonly AuthorizerChoice[] | undefined;
  /** By digest: the users of --token-auth-file. */
  readonly staticTokens?: ReadonlyMap<string, UserInfo> | undefined;
  /** OpenID Connect issuers. */
  readonly jwt?: readonly JwtOptions[] | undefined;
  /** Another server that knows tokens. */
  readonly tokenWebhook?: TokenWebhook | undefined;
  /** Absent: everybody may come without credentials, and be told that they may do nothing. */
  readonly anonymous?: AnonymousOptions | undefined;
  /** Whether bootstrap tokens let their holders in. */
  readonly bootstrapTokens?: boolean | undefined;
  /** Absent: nothing is recorded. */
  readonly audit?: AuditOptions | undefined;
  /** What is encrypted in the store, and how. Absent: nothing. */
  readonly encryption?: readonly EncryptionRule[] | undefined;
  /** Tells the configuration of `encryption` from others, in the metrics. */
  readonly encryptionHash?: string | undefined;
  readonly admission?: AdmissionOptions | undefined;
  /** `GROUP/VERSION` of what is served besides; upstream has it off by default. */
  readonly optionalApis?: readonly string[] | undefined;
}

/** What may be replaced while the server runs, as PEM: who it is to whom, and whose certificates it believes. */
export interface LiveIdentity {
  readonly certificate: string;
  readonly key: string;
  readonly clientAuthority?: string | undefined;
  readonly kubelet?: KubeletCredentials | undefined;
  readonly frontProxy?: FrontProxyCredentials | undefined;
  readonly requestHeaderAuthority?: string | undefined;
}

export interface ServiceAccountOptions {
  readonly issuer: string;
  /** Who tokens are for: this API server. Default: the issuer. */
  readonly audiences?: readonly string[] | undefined;
  /** Absent: no tokens are signed here. */
  readonly signingKey?: KeyObject | undefined;
  readonly verificationKeys: readonly KeyObject[];
}

/** --requestheader-*: whose word about users counts. */
export interface RequestHeaderOptions {
  /** PEM of the authorities of front proxies. */
  readonly clientAuthority: string;
  /** Common names of their certificates; none: any. */
  readonly allowedNames: readonly string[];
}

export const DEFAULT_SERVICE_RANGES: readonly string[] = ['10.96.0.0/16'];
/** Upstream's --max-requests-inflight and --max-mutating-requests-inflight together. */
export const DEFAULT_REQUESTS_IN_FLIGHT = 600;
export const DEFAULT_NODE_PORTS: PortRange = { first: 30_000, last: 32_767 };

export interface PortRange {
  readonly first: number;
  readonly last: number;
}

/** `30000-32767`, or `30000+2767`. */
export function parsePortRange(text: string): PortRange {
  const found = /^(\d+)([-+])(\d+)$/.exec(text);
  const first = Number(found?.[1]);
  const last = found?.[2] === '+' ? first + Number(found[3]) : Number(found?.[3]);
  if (!(first > 0 && last >= first && last <= 65535)) {
    throw new RangeError(`Not a port range: ${text}`);
  }
  return { first, last };
}

/** Served only where --runtime-config asks for it. */
export const OPTIONAL_APIS: readonly string[] = ['storagemigration.k8s.io/v1beta1'];

/** The comma-separated value of --runtime-config: optional APIs that are switched on. What else it names is refused. */
export function parseRuntimeConfig(text: string): string[] {
  const chosen = new Map<string, boolean>();
  for (const item of text.split(',').filter((word) => word !== '')) {
    const [api = '', value = 'true'] = item.split('=');
    if (!OPTIONAL_APIS.includes(api)) {
      throw new RangeError(
        `--runtime-config: ${api} cannot be switched here; only ${OPTIONAL_APIS.join(', ')}`,
      );
    }
    if (value !== 'true' && value !== 'false') {
      throw new RangeError(`--runtime-config: ${api} is true or false, not ${value}`);
    }
    chosen.set(api, value === 'true');
  }
  return [...chosen].filter(([, isOn]) => isOn).map(([api]) => api);
}

/** The comma-separated value of --authorization-mode. */
export function parseAuthorizationModes(text: string): AuthorizationMode[] {
  return text.split(',').map((word) => {
    const mode = AUTHORIZATION_MODES.find((known) => known === word);
    if (mode === undefined) throw new RangeError(`Unknown authorization mode: ${word}`);
    return mode;
  });
}
