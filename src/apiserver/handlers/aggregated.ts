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
  await passOn(exchange, await forward(exchange, { url, agent: remote.agent, headers }));
}
