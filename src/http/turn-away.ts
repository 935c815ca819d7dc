import type { ServerResponse } from 'node:http';
import type { Http2ServerResponse } from 'node:http2';

/**
 * The client is to send its next request on a new connection, which a load balancer may lead to another server. Before the
 * head of the answer; what else is under way on an HTTP/2 connection goes on.
 */
export function turnAway(res: ServerResponse): void {
  const { stream } = res as unknown as Partial<Http2ServerResponse>;
  if (stream) stream.session?.close();
  else res.setHeader('Connection', 'close');
}
