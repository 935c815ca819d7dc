import type { Readable } from 'node:stream';
import type { WebSocket } from 'ws';
import type { UpgradeRequest } from './upgrade.ts';
import { acceptWebSocket } from './websocket-channels.ts';

const BASE64 = 'base64.binary.k8s.io';
/** What a client may ask for; one that asks for nothing gets bytes. */
const PROTOCOLS = ['binary.k8s.io', BASE64];

/**
 * Answers a request by the messages of a WebSocket in place of a body, after an empty one that says that the connection
 * stands. Resolves when it is over, whoever ended it.
 */
export async function sendByWebSocket(client: UpgradeRequest, body: Readable): Promise<void> {
  const { ws, protocol } = await acceptWebSocket(client, PROTOCOLS);
  const gone = new Promise<void>((resolve) => ws.on('close', () => resolve()));
  ws.on('error', () => ws.terminate());
  // A client that leaves does not read on: neither does this.
  void gone.then(() => body.destroy());
  const message = (chunk: Buffer): Buffer | string =>
    protocol === BASE64 ? chunk.toString('base64') : chunk;
  try {
    await send(ws, message(Buffer.alloc(0)));
    for await (const chunk of body) await send(ws, message(chunk as Buffer));
    ws.close(1000);
  } catch {
    // What gave the body broke, perhaps because the client left.
    ws.close(1011);
  }
  await gone;
}

/** Resolves when the message is on its way, or can never be. */
function send(ws: WebSocket, data: Buffer | string): Promise<void> {
  return new Promise((resolve) => {
    if (ws.readyState !== ws.OPEN) return resolve();
    ws.send(data, () => resolve());
  });
}
