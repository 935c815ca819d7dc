import { createWebSocketStream, type WebSocket } from 'ws';
import { errorMessage } from '../util/errors.ts';
import {
  dialUpgrade,
  refuseUpgrade,
  splice,
  type UpgradeRequest,
  type UpgradeTarget,
} from './upgrade.ts';
import { acceptWebSocket, offeredProtocols } from './websocket-channels.ts';

const TUNNEL_PREFIX = 'SPDY/3.1+';
const PORT_FORWARD = 'portforward.k8s.io';

/** Whether the client wants to speak SPDY inside WebSocket messages (KEP-4006, port-forward). */
export function offersTunnel(protocols: string | undefined): boolean {
  return offeredProtocols(protocols).includes(TUNNEL_PREFIX + PORT_FORWARD);
}

/**
 * Port-forward over WebSocket: the bytes of the client's SPDY connection travel in binary messages and go on, as
 * they are, over an upgraded connection to the kubelet. The kubelet is asked before the client is answered, so its
 * refusal becomes the answer.
 */
export async function tunnelPortForward(
  client: UpgradeRequest,
  target: UpgradeTarget,
  signal?: AbortSignal,
): Promise<void> {
  const headers = {
    connection: 'Upgrade',
    upgrade: 'SPDY/3.1',
    'x-stream-protocol-version': PORT_FORWARD,
  };
  let answer: Awaited<ReturnType<typeof dialUpgrade>>;
  try {
    answer = await dialUpgrade(target, 'POST', headers, signal);
  } catch (err) {
    const body = `error dialing backend: ${errorMessage(err)}`;
    refuseUpgrade(client.socket, { code: 502, message: 'Bad Gateway', body });
    return;
  }
  if (answer.kind === 'refused') {
    refuseUpgrade(client.socket, answer);
    return;
  }
  const { socket, head } = answer;
  let ws: WebSocket;
  try {
    ({ ws } = await acceptWebSocket(client, [TUNNEL_PREFIX + PORT_FORWARD]));
  } catch (err) {
    socket.destroy();
    throw err;
  }
  await splice(createWebSocketStream(ws), socket, head, Buffer.alloc(0));
}
