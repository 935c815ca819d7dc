import { X509Certificate } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type { PeerCertificate, TLSSocket } from 'node:tls';
import { ApiError } from '../../api/errors.ts';
import type { UserInfo } from '../resource-kind.ts';
import type { Authenticator } from './authenticator.ts';

type Req = Pick<IncomingMessage, 'headers' | 'socket'>;

/**
 * Client certificates: the common name is the user, the organizations are the groups. With `authorities` (PEM) only
 * theirs count: the server may believe others for other purposes.
 */
export function x509Authenticator(authorities?: string): Authenticator {
  // A connection's certificate does not change; reading it is far dearer than a request.
  const known = new WeakMap<object, UserInfo | 'none' | 'refused'>();
  const roots = authorities === undefined ? undefined : fingerprintsOf(authorities);
  return {
    name: 'x509',
    authenticate(req) {
      const socket = tlsSocketOf(req);
      if (!socket) return undefined;
      let user = known.get(socket);
      if (user === undefined) {
        user = userOf(socket, roots);
        known.set(socket, user);
      }
      if (user === 'refused') throw new ApiError('Unauthorized', 'Unauthorized');
      return user === 'none' ? undefined : user;
    },
  };
}

export function tlsSocketOf(req: Req): TLSSocket | undefined {
  // Under HTTP/2, `req.socket` is a proxy of the session's socket.
  const session = (req as { stream?: { session?: { socket?: TLSSocket } } }).stream?.session;
  const socket = session?.socket ?? (req.socket as TLSSocket);
  return typeof socket?.getPeerCertificate === 'function' ? socket : undefined;
}

/** SHA-256 fingerprints of the certificates of a PEM text. */
export function fingerprintsOf(pem: string): ReadonlySet<string> {
  const found = pem.match(/-----BEGIN CERTIFICATE-----[\s\S]*?-----END CERTIFICATE-----/g) ?? [];
  return new Set(found.map((one) => new X509Certificate(one).fingerprint256));
}

/** Whether the client's certificate goes back to one of these authorities. The connection has checked its chain. */
export function descendsFrom(socket: TLSSocket, roots: ReadonlySet<string>): boolean {
  if (!socket.authorized) return false;
  let certificate: PeerCertificate | undefined = socket.getPeerCertificate(true);
  for (let depth = 0; certificate?.fingerprint256 && depth < 10; depth++) {
    if (roots.has(certificate.fingerprint256)) return true;
    const issuer: PeerCertificate | undefined = (
      certificate as { issuerCertificate?: PeerCertificate }
    ).issuerCertificate;
    if (issuer === certificate) return false;
    certificate = issuer;
  }
  return false;
}

function userOf(
  socket: TLSSocket,
  roots: ReadonlySet<string> | undefined,
): UserInfo | 'none' | 'refused' {
  const { subject } = socket.getPeerCertificate();
  if (!subject) return 'none';
  if (!socket.authorized) return 'refused';
  if (roots && !descendsFrom(socket, roots)) return 'none';
  const name = first(subject.CN);
  if (name === '') return 'none';
  return { name, groups: [...all(subject.O), 'system:authenticated'] };
}

function all(value: string | string[] | undefined): string[] {
  if (value === undefined) return [];
  return Array.isArray(value) ? value : [value];
}

function first(value: string | string[] | undefined): string {
  return all(value)[0] ?? '';
}
