import { X509Certificate } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type { TLSSocket } from 'node:tls';
import { ApiError } from '../api/errors.ts';
import { SUBJECT_ACCESS_REVIEWS, TOKEN_REVIEWS } from '../api/system-resource-types.ts';
import type { Client } from '../client/client.ts';
import { GROUP } from './documents.ts';
import type { Wanted } from './metrics-api.ts';

export interface Caller {
  readonly name: string;
  readonly groups: string[];
}

/** Whom the API server says to believe (ConfigMap kube-system/extension-apiserver-authentication). */
export interface Trust {
  /** PEM of the front proxy's authority; what it says in headers is believed. */
  readonly proxyAuthority: string | undefined;
  readonly proxyNames: readonly string[];
  /** PEM of the authority of other clients. */
  readonly clientAuthority: string | undefined;
}

export function trustOf(data: Readonly<Record<string, string>>): Trust {
  return {
    proxyAuthority: data['requestheader-client-ca-file'],
    proxyNames: JSON.parse(data['requestheader-allowed-names'] ?? '[]') as string[],
    clientAuthority: data['client-ca-file'],
  };
}

/** Who asks: the user whom the front proxy names, the holder of a certificate or of a token. Throws Unauthorized. */
export async function callerOf(
  req: IncomingMessage,
  trust: Trust,
  client: Pick<Client, 'create'>,
): Promise<Caller> {
  const certificate = peerCertificate(req.socket as TLSSocket);
  if (certificate) {
    if (isProxy(certificate, trust)) return remoteUser(req);
    if (isIssuedBy(certificate.x509, trust.clientAuthority)) {
      return { name: certificate.name, groups: certificate.groups };
    }
  }
  const token = /^Bearer (.+)$/i.exec(req.headers.authorization ?? '')?.[1];
  if (token) {
    const review = await client.create(TOKEN_REVIEWS, {
      ...{ apiVersion: 'authentication.k8s.io/v1', kind: 'TokenReview' },
      metadata: {},
      spec: { token },
    });
    const { authenticated, user } = review.status ?? {};
    if (authenticated && user) return { name: user.username ?? '', groups: user.groups ?? [] };
  }
  throw new ApiError('Unauthorized', 'Unauthorized');
}

/** Throws Forbidden for what the API server does not allow the caller. */
export async function authorize(
  caller: Caller,
  { verb, resource, namespace, name }: Wanted,
  client: Pick<Client, 'create'>,
): Promise<void> {
  if (caller.groups.includes('system:masters')) return;
  const review = await client.create(SUBJECT_ACCESS_REVIEWS, {
    ...{ apiVersion: 'authorization.k8s.io/v1', kind: 'SubjectAccessReview' },
    metadata: {},
    spec: {
      user: caller.name,
      groups: caller.groups,
      resourceAttributes: { group: GROUP, version: 'v1beta1', verb, resource, namespace, name },
    },
  });
  if (review.status?.allowed) return;
  const scope = namespace === '' ? 'at the cluster scope' : `in the namespace "${namespace}"`;
  const what = `${resource}.${GROUP}${name === '' ? '' : ` ${JSON.stringify(name)}`} is forbidden`;
  const message = `${what}: User "${caller.name}" cannot ${verb} resource "${resource}" in API group "${GROUP}" ${scope}`;
  throw new ApiError('Forbidden', message);
}

interface Peer {
  readonly x509: X509Certificate;
  readonly name: string;
  readonly groups: string[];
}

function peerCertificate(socket: TLSSocket): Peer | undefined {
  if (!socket.authorized) return undefined;
  const { raw, subject } = socket.getPeerCertificate();
  const { CN = '', O = [] } = subject as { CN?: string; O?: string | string[] };
  return { x509: new X509Certificate(raw), name: CN, groups: [O].flat() };
}

function isProxy({ x509, name }: Peer, { proxyAuthority, proxyNames }: Trust): boolean {
  if (!isIssuedBy(x509, proxyAuthority)) return false;
  return proxyNames.length === 0 || proxyNames.includes(name);
}

function isIssuedBy(certificate: X509Certificate, authority: string | undefined): boolean {
  if (authority === undefined) return false;
  const issuer = new X509Certificate(authority);
  return certificate.checkIssued(issuer) && certificate.verify(issuer.publicKey);
}

function remoteUser({ headers }: IncomingMessage): Caller {
  const name = [headers['x-remote-user'] ?? ''].flat()[0] ?? '';
  if (name === '') throw new ApiError('Unauthorized', 'Unauthorized');
  // Node joins headers that came several times.
  const groups = [headers['x-remote-group'] ?? []].flat().flatMap((text) => text.split(/,\s*/));
  return { name: decodeURIComponent(name), groups: groups.map(decodeURIComponent) };
}
