import type { StreamFlags } from './exec-streams.ts';
import { offersTunnel, tunnelPortForward } from './port-forward-tunnel.ts';
import type { UpgradeRequest, UpgradeTarget } from './upgrade.ts';
import { proxyUpgrade } from './upgrade-proxy.ts';
import { offersChannels, translateChannels } from './websocket-channels.ts';

/** What a streaming sub-resource of a Pod is asked for. */
export type StreamRequest =
  | { readonly kind: 'exec' | 'attach'; readonly flags: StreamFlags }
  | { readonly kind: 'portforward' };

/**
 * Serves exec, attach or port-forward to a client whose request has passed every check, by the kubelet's end point
 * `target`. kubectl's WebSockets become SPDY; SPDY and older WebSocket protocols pass through as they are.
 * Resolves when the session is over.
 */
export function serveStream(
  client: UpgradeRequest,
  target: UpgradeTarget,
  request: StreamRequest,
  signal?: AbortSignal,
): Promise<void> {
  const { headers } = client.req;
  const protocols = headers['sec-websocket-protocol'];
  if (headers.upgrade?.toLowerCase() === 'websocket') {
    if (request.kind === 'portforward') {
      if (offersTunnel(protocols)) return tunnelPortForward(client, target, signal);
    } else if (offersChannels(protocols)) {
      return translateChannels(client, target, request.flags, signal);
    }
  }
  return proxyUpgrade(client, target, signal);
}
