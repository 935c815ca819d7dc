import { isIP } from 'node:net';

export interface LoadBalancerOptions {
  /** Where it takes connections: `HOST:PORT`, or `*:PORT`. */
  readonly bind: string;
  /** The API servers, `HOST:PORT`. */
  readonly servers: readonly string[];
  /** PEM file of the authority that API servers are known by; without it they are asked whoever they are. */
  readonly caFile?: string | undefined;
}

/**
 * A configuration of HAProxy (2.2 or later) before the API servers. Pure.
 * Connections are handed on as they are: TLS goes from end to end, so that client certificates are seen. A server that is
 * about to end says so on /readyz: it gets no new connections, and keeps those it has until it closes them. One whose cable
 * is cut is found out by the kernel, since nobody closes those.
 */
export function haproxyConfig({ bind, servers, caFile }: LoadBalancerOptions): string {
  const check = caFile === undefined ? 'verify none' : `verify required ca-file ${caFile}`;
  return `# k8ts lb config: before the API servers of a cluster
global
  log stdout format raw local0 notice

defaults
  mode tcp
  log global
  option dontlognull
  timeout connect 2s
  # A server that is slow to say that it is ready is still better than none.
  timeout check 5s
  # Watches are silent for long.
  timeout client 1h
  timeout server 1h
  # A server that does not take a connection is not asked a second time.
  retries 2
  option redispatch 1

frontend kubernetes
  bind ${bind}
  default_backend apiservers

backend apiservers
  balance leastconn
  option httpchk
  http-check send meth GET uri /readyz
  http-check expect status 200
  option srvtcpka
  srvtcpka-idle 5s
  srvtcpka-intvl 2s
  srvtcpka-cnt 3
  default-server check check-ssl ${check} inter 1s fall 2 rise 2 on-error mark-down observe layer4 error-limit 1
${servers.map((address) => `  server ${serverName(address)} ${address}`).join('\n')}
`;
}

/** A word for logs. */
function serverName(address: string): string {
  const host = address.replace(/:\d+$/, '').replace(/^\[|\]$/g, '');
  return isIP(host) === 6 ? host.replaceAll(':', '-') : host;
}
