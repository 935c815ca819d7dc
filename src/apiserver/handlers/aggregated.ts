import type { IncomingMessage } from 'node:http';
import { ApiError } from '../../api/errors.ts';
import { proxyUpgrade } from '../../http/upgrade-proxy.ts';
import { remoteUserHeaders } from '../aggregation/front-proxy.ts';
import type { RemoteService } from '../aggregation/remote-service.ts';
import type { Exchange } from '../exchange.ts';
import { forward, passOn } from '../http-proxy.ts';

/** A request that an aggregated API server answers: passed on as it is, with who asks in its headers. */
export async function aggregated(exchange: Exchange, remote: RemoteService): Promise<void> {
  if (!remote.isAvailable) throw new ApiError('ServiceUnavailable', 'service unavailable');
  const { req, upgrade, user } = exchange;
  const url = new URL(req.url ?? '/', await remote.origin());
  const headers = remoteUserHeaders(user);
  if (upgrade) {
    await proxyUpgrade(upgrade, { url, tls: remote.tls, headers });
    return;
  }
  const answer = await forward(exchange, { url, agent: remote.agent, headers });
  if (isRedirect(answer)) {
    answer.destroy();
    refuseRedirect(exchange);
    return;
  }
  await passOn(exchange, answer);
}

/** Clients would follow it with the credentials that are meant for this server (CVE-2022-3172). */
function isRedirect({ statusCode = 0, headers }: IncomingMessage): boolean {
  return statusCode >= 300 && statusCode <= 399 && headers.location !== undefined;
}

function refuseRedirect({ res }: Exchange): void {
  res.writeHead(502, { 'content-type': 'text/plain; charset=utf-8' });
  res.end('the backend attempted to redirect this request, which is not permitted');
}
