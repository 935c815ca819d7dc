import type { IncomingHttpHeaders } from 'node:http';
import type { RequestHeaderOptions } from '../options.ts';
import type { UserInfo } from '../resource-kind.ts';
import type { Authenticator } from './authenticator.ts';
import type { Trust } from './trust.ts';
import { tlsSocketOf } from './x509.ts';

const EXTRA = 'x-remote-extra-';

/** A front proxy, known by its certificate, tells on whose behalf it asks (X-Remote-User and so on). */
export function requestHeaderAuthenticator(
  { allowedNames }: RequestHeaderOptions,
  trust: Trust,
): Authenticator {
  return {
    name: 'request-header',
    authenticate(req) {
      const name = req.headers['x-remote-user'];
      const socket = name === undefined ? undefined : tlsSocketOf(req);
      // From anybody else these headers say nothing.
      if (!socket || !trust.covers(socket, 'proxy')) return undefined;
      const commonName = String(socket.getPeerCertificate().subject?.CN ?? '');
      if (allowedNames.length > 0 && !allowedNames.includes(commonName)) return undefined;
      return userIn(String(name), req.headers);
    },
  };
}

function userIn(name: string, headers: IncomingHttpHeaders): UserInfo | undefined {
  if (name === '') return undefined;
  const groups = valuesOf(headers['x-remote-group']);
  const uid = headers['x-remote-uid'];
  const extra = Object.keys(headers)
    .filter((header) => header.startsWith(EXTRA))
    .map((header) => [decodeURIComponent(header.slice(EXTRA.length)), valuesOf(headers[header])]);
  const all = groups.includes('system:authenticated')
    ? groups
    : [...groups, 'system:authenticated'];
  return {
    name,
    groups: all,
    ...(typeof uid === 'string' && uid !== '' ? { uid } : {}),
    ...(extra.length > 0 ? { extra: Object.fromEntries(extra) } : {}),
  };
}

/** Node joins repeated headers with a comma and a space. */
function valuesOf(header: string | string[] | undefined): string[] {
  if (header === undefined) return [];
  return (Array.isArray(header) ? header : header.split(',')).map((value) => value.trim());
}
