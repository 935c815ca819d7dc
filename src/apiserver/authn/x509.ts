import type { IncomingMessage } from 'node:http';
import type { TLSSocket } from 'node:tls';
import { ApiError } from '../../api/errors.ts';
import type { UserInfo } from '../resource-kind.ts';
import type { Authenticator } from './authenticator.ts';
import type { Trust } from './trust.ts';

type Req = Pick<IncomingMessage, 'headers' | 'socket'>;

/** Client certificates: the common name is the user, the organizations are the groups. */
export function x509Authenticator(trust: Trust): Authenticator {
  // A connection's certificate does not change; reading it is far dearer than a request.
  let known = new WeakMap<object, UserInfo | 'none' | 'refused'>();
  let generation = trust.generation;
  return {
    name: 'x509',
    authenticate(req) {
      const socket = tlsSocketOf(req);
      if (!socket) return undefined;
      if (generation !== trust.generation) {
        generation = trust.generation;
        known = new WeakMap();
      }
      let user = known.get(socket);
      if (user === undefined) {
        user = userOf(socket, trust);
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

function userOf(socket: TLSSocket, trust: Trust): UserInfo | 'none' | 'refused' {
  const { subject } = socket.getPeerCertificate();
  if (!subject) return 'none';
  if (!socket.authorized) return 'refused';
  // A front proxy's certificate names no user of this cluster; a believed authority that is believed no longer, nobody.
  if (!trust.covers(socket, 'client')) return trust.covers(socket, 'proxy') ? 'none' : 'refused';
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
