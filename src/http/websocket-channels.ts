import type { Readable, Writable } from 'node:stream';
import type { RawData, WebSocket } from 'ws';
import { WebSocketServer } from 'ws';
import { ApiError } from '../api/errors.ts';
import { errorMessage } from '../util/errors.ts';
import {
  type ExecStreams,
  internalError,
  openExecStreams,
  type StreamFlags,
} from './exec-streams.ts';
import type { UpgradeRequest, UpgradeTarget } from './upgrade.ts';

/** The first byte of every message says which stream it belongs to. */
const CHANNEL = { stdin: 0, stdout: 1, stderr: 2, error: 3, resize: 4, close: 255 } as const;
const V5 = 'v5.channel.k8s.io';
const V4 = 'v4.channel.k8s.io';
/** In order of preference. v5 is v4 with a message that closes standard input (KEP-4006). */
const PROTOCOLS = [V5, V4];
/** What may wait to be sent before reading from the kubelet pauses. */
const HIGH_WATER = 256 * 1024;
const MAX_MESSAGE = 32 * 1024 * 1024;

/** Whether the client offers a protocol that `translateChannels` speaks. */
export function offersChannels(protocols: string | undefined): boolean {
  const offered = offeredProtocols(protocols);
  return PROTOCOLS.some((protocol) => offered.includes(protocol));
}

/** The words of a Sec-WebSocket-Protocol header. */
export function offeredProtocols(header: string | undefined): string[] {
  return (header ?? '').split(',').map((word) => word.trim());
}

/**
 * Serves exec or attach over WebSocket channels, and speaks SPDY/3.1 to the kubelet. The WebSocket is accepted
 * first, as upstream does: failures after that are told on the error channel, as a Status. Resolves when it is over.
 */
export async function translateChannels(
  client: UpgradeRequest,
  target: UpgradeTarget,
  flags: StreamFlags,
  signal?: AbortSignal,
): Promise<void> {
  const { ws, protocol } = await acceptWebSocket(client, PROTOCOLS);
  const gone = new Promise<void>((resolve) => ws.on('close', () => resolve()));
  ws.on('error', () => ws.terminate());
  // What the client sends before the kubelet has answered must wait, not be lost.
  ws.pause();
  try {
    const streams = await openExecStreams(target, flags, signal);
    try {
      await Promise.race([gone, relay(ws, streams, protocol === V5)]);
    } finally {
      streams.connection.close();
    }
  } catch (err) {
    const status = (err instanceof ApiError ? err : internalError(errorMessage(err))).toStatus();
    await send(ws, CHANNEL.error, Buffer.from(JSON.stringify(status)));
  }
  ws.resume();
  ws.close(1000);
  await gone;
}

/** Completes the handshake with the first of `protocols` that the client offers. */
export function acceptWebSocket(
  { req, socket, head }: UpgradeRequest,
  protocols: readonly string[],
): Promise<{ ws: WebSocket; protocol: string | undefined }> {
  const offered = offeredProtocols(req.headers['sec-websocket-protocol']);
  const chosen = protocols.find((protocol) => offered.includes(protocol));
  // ws insists on RFC 6455's tokens, but `SPDY/3.1+portforward.k8s.io` is none: the choice is made here instead.
  delete req.headers['sec-websocket-protocol'];
  const server = new WebSocketServer({
    noServer: true,
    perMessageDeflate: false,
    maxPayload: MAX_MESSAGE,
  });
  server.on('headers', (headers) => {
    if (chosen !== undefined) headers.push(`Sec-WebSocket-Protocol: ${chosen}`);
  });
  return new Promise((resolve, reject) => {
    socket.once('close', () => reject(new Error('The client left during the WebSocket handshake')));
    server.handleUpgrade(req, socket, head, (ws) => resolve({ ws, protocol: chosen }));
  });
}

/** Moves everything both ways; resolves when the kubelet has nothing more to say. */
async function relay(ws: WebSocket, streams: ExecStreams, closes: boolean): Promise<void> {
  const { error, stdout, stderr } = streams;
  // An empty message tells the client that the connection stands, on the lowest channel that it reads.
  const first = stdout ? CHANNEL.stdout : stderr ? CHANNEL.stderr : CHANNEL.error;
  await send(ws, first, Buffer.alloc(0));
  const inputs = new Map<number, Writable>();
  if (streams.stdin) inputs.set(CHANNEL.stdin, streams.stdin);
  if (streams.resize) inputs.set(CHANNEL.resize, streams.resize);
  ws.on('message', (data) => {
    const message = asBuffer(data);
    if (message[0] !== CHANNEL.close) onMessage(ws, inputs, message);
    else if (closes) inputs.get(message[1] ?? CHANNEL.close)?.end();
  });
  ws.resume();
  const outputs = [
    ...(stdout ? [forward(ws, CHANNEL.stdout, stdout)] : []),
    ...(stderr ? [forward(ws, CHANNEL.stderr, stderr)] : []),
  ];
  // The Status comes last: a client stops to read when it has it.
  const [verdict] = await Promise.all([collect(error), ...outputs]);
  const status =
    verdict.length > 0
      ? verdict
      : Buffer.from(
          JSON.stringify(internalError('the connection to the node was lost').toStatus()),
        );
  await send(ws, CHANNEL.error, status);
}

function onMessage(ws: WebSocket, inputs: ReadonlyMap<number, Writable>, message: Buffer): void {
  const input = inputs.get(message[0] ?? CHANNEL.close);
  if (!input?.writable || message.length === 1) return;
  if (!input.write(message.subarray(1))) {
    ws.pause();
    input.once('drain', () => ws.resume());
    input.once('close', () => ws.resume());
  }
}

async function forward(ws: WebSocket, channel: number, from: Readable): Promise<void> {
  for await (const chunk of from) {
    const sent = send(ws, channel, chunk as Buffer);
    if (ws.bufferedAmount > HIGH_WATER) await sent;
  }
}

async function collect(from: Readable): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of from) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

/** Resolves when the message is on its way, or can never be. */
function send(ws: WebSocket, channel: number, data: Buffer): Promise<void> {
  return new Promise((resolve) => {
    if (ws.readyState !== ws.OPEN) return resolve();
    ws.send(Buffer.concat([Buffer.from([channel]), data]), { binary: true }, () => resolve());
  });
}

function asBuffer(data: RawData): Buffer {
  if (Buffer.isBuffer(data)) return data;
  return Array.isArray(data) ? Buffer.concat(data) : Buffer.from(data);
}
