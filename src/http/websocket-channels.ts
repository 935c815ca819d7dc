import type { Readable, Writable } from 'node:stream';
import type { RawData, WebSocket } from 'ws';
import { WebSocketServer } from 'ws';
import { ApiError, type Status } from '../api/errors.ts';
import { errorMessage } from '../util/errors.ts';
import {
  type ExecStreams,
  internalError,
  openExecStreams,
  parseStatus,
  type StreamFlags,
} from './exec-streams.ts';
import type { UpgradeRequest, UpgradeTarget } from './upgrade.ts';

/** The first byte of every message says which stream it belongs to. */
const CHANNEL = { stdin: 0, stdout: 1, stderr: 2, error: 3, resize: 4, close: 255 } as const;

/** How a protocol writes messages, and how it tells of the end. */
interface Dialect {
  /** A digit and Base64 in text messages, in place of a byte and bytes. */
  readonly base64?: boolean;
  /** Has a message that closes standard input (KEP-4006). */
  readonly closes?: boolean;
  /** Tells of failures only, in words, not of success, and not by a Status. */
  readonly words?: boolean;
}

/** In order of preference. */
const DIALECTS: ReadonlyMap<string, Dialect> = new Map([
  ['v5.channel.k8s.io', { closes: true }],
  ['v4.channel.k8s.io', {}],
  ['v4.base64.channel.k8s.io', { base64: true }],
  ['channel.k8s.io', { words: true }],
  ['base64.channel.k8s.io', { words: true, base64: true }],
]);
const PROTOCOLS = [...DIALECTS.keys()];
/** Of a client that offers none. */
const OLDEST: Dialect = { words: true };
/** What may wait to be sent before reading from the kubelet pauses. */
const HIGH_WATER = 256 * 1024;
const MAX_MESSAGE = 32 * 1024 * 1024;

/** Whether the client offers a protocol that `translateChannels` speaks, or leaves the choice to the server. */
export function offersChannels(protocols: string | undefined): boolean {
  if (!protocols) return true;
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
  const channels = new Channels(ws, DIALECTS.get(protocol ?? '') ?? OLDEST);
  const gone = new Promise<void>((resolve) => ws.on('close', () => resolve()));
  ws.on('error', () => ws.terminate());
  // What the client sends before the kubelet has answered must wait, not be lost.
  ws.pause();
  try {
    const streams = await openExecStreams(target, flags, signal);
    try {
      await Promise.race([gone, relay(channels, streams)]);
    } finally {
      streams.connection.close();
    }
  } catch (err) {
    const status = (err instanceof ApiError ? err : internalError(errorMessage(err))).toStatus();
    await channels.end(status);
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

/** One connection, in the dialect of its client. */
class Channels {
  readonly ws: WebSocket;
  readonly dialect: Dialect;

  constructor(ws: WebSocket, dialect: Dialect) {
    this.ws = ws;
    this.dialect = dialect;
  }

  /** Resolves when the message is on its way, or can never be. */
  send(channel: number, data: Buffer): Promise<void> {
    const { ws, dialect } = this;
    const message = dialect.base64
      ? `${channel}${data.toString('base64')}`
      : Buffer.concat([Buffer.from([channel]), data]);
    return new Promise((resolve) => {
      if (ws.readyState !== ws.OPEN) return resolve();
      ws.send(message, () => resolve());
    });
  }

  /** Which channel a message is for, and what it says. */
  parse(message: Buffer): [channel: number | undefined, data: Buffer] {
    const [first, data] = [message[0], message.subarray(1)];
    if (!this.dialect.base64 || first === undefined) return [first, data];
    return [first - ZERO, Buffer.from(data.toString('latin1'), 'base64')];
  }

  /** How it ended comes last: a client stops to read when it has it. */
  async end(status: Status): Promise<void> {
    if (!this.dialect.words) {
      await this.send(CHANNEL.error, Buffer.from(JSON.stringify(status)));
    } else if (status.status !== 'Success') {
      await this.send(CHANNEL.error, Buffer.from(status.message ?? 'unknown'));
    }
  }
}

const ZERO = '0'.charCodeAt(0);

/** Moves everything both ways; resolves when the kubelet has nothing more to say. */
async function relay(channels: Channels, streams: ExecStreams): Promise<void> {
  const { ws, dialect } = channels;
  const { error, stdout, stderr } = streams;
  // An empty message tells the client that the connection stands, on the lowest channel that it reads.
  const first = stdout ? CHANNEL.stdout : stderr ? CHANNEL.stderr : CHANNEL.error;
  await channels.send(first, Buffer.alloc(0));
  const inputs = new Map<number, Writable>();
  if (streams.stdin) inputs.set(CHANNEL.stdin, streams.stdin);
  if (streams.resize) inputs.set(CHANNEL.resize, streams.resize);
  ws.on('message', (message) => {
    const [channel, data] = channels.parse(asBuffer(message));
    if (channel !== CHANNEL.close) onMessage(ws, inputs.get(channel ?? CHANNEL.close), data);
    else if (dialect.closes) inputs.get(data[0] ?? CHANNEL.close)?.end();
  });
  ws.resume();
  const outputs = [
    ...(stdout ? [forward(channels, CHANNEL.stdout, stdout)] : []),
    ...(stderr ? [forward(channels, CHANNEL.stderr, stderr)] : []),
  ];
  const [verdict] = await Promise.all([collect(error), ...outputs]);
  const why = verdict.trim() || 'the connection to the node was lost';
  await channels.end(parseStatus(verdict) ?? internalError(why).toStatus());
}

function onMessage(ws: WebSocket, input: Writable | undefined, data: Buffer): void {
  if (!input?.writable || data.length === 0) return;
  if (!input.write(data)) {
    ws.pause();
    input.once('drain', () => ws.resume());
    input.once('close', () => ws.resume());
  }
}

async function forward(channels: Channels, channel: number, from: Readable): Promise<void> {
  for await (const chunk of from) {
    const sent = channels.send(channel, chunk as Buffer);
    if (channels.ws.bufferedAmount > HIGH_WATER) await sent;
  }
}

async function collect(from: Readable): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of from) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString('utf8');
}

function asBuffer(data: RawData): Buffer {
  if (Buffer.isBuffer(data)) return data;
  return Array.isArray(data) ? Buffer.concat(data) : Buffer.from(data);
}
