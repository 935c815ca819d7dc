import type { OutgoingHttpHeaders } from 'node:http';
import type { UserInfo } from '../resource-kind.ts';

/** Who this server is to aggregated ones (--proxy-client-cert-file, --proxy-client-key-file), as PEM. */
export interface FrontProxyCredentials {
  readonly certificate?: string | undefined;
  readonly key?: string | undefined;
}

/** What aggregated servers believe from a client with the front proxy's certificate: who asks. Upstream's default names. */
export function remoteUserHeaders(user: UserInfo): OutgoingHttpHeaders {
  const headers: OutgoingHttpHeaders = {
    'x-remote-user': encodeValue(user.name),
    'x-remote-group': user.groups.map(encodeValue),
  };
  if (user.uid) headers['x-remote-uid'] = encodeValue(user.uid);
  for (const [key, values] of Object.entries(user.extra ?? {})) {
    headers[`x-remote-extra-${encodeKey(key)}`] = values.map(encodeValue);
  }
  return headers;
}

/** Header names allow few characters: the others are percent-encoded, as upstream does. */
function encodeKey(key: string): string {
  return key.toLowerCase().replace(/[^a-z0-9!#$&'*+.^_`|~-]/g, (char) => encodeURIComponent(char));
}

/** Header values are Latin-1 without control characters. */
function encodeValue(value: string): string {
  return value.replace(/[^\t\x20-\x7e\x80-\xff]/g, (char) => encodeURIComponent(char));
}
