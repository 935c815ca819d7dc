import {
  type Agent,
  request as httpRequest,
  type IncomingMessage,
  type OutgoingHttpHeaders,
} from 'node:http';
import type { ServerHttp2Stream } from 'node:http2';
import { request as httpsRequest } from 'node:https';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { ApiError } from '../api/errors.ts';
import { errorMessage } from '../util/errors.ts';
import { disconnectSignal, type Exchange } from './exchange.ts';

export interface ProxyTarget {
  readonly url: URL;
  readonly agent?: Agent | undefined;
  /** For https: whom to believe, and who we are. Absent: anybody, as nobody. */
  readonly tls?: object | undefined;
  /** Besides the client's own. */
  readonly headers?: OutgoingHttpHeaders | undefined;
}

const HOP_BY_HOP = new Set([
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'host',
  'http2-settings',
]);
/** Who the client is concerns us alone. */
const PRIVATE = /^(authorization|impersonate-.*|x-remote-.*|:.*)$/;

/** Asks `target` what the client asked, and answers with its headers; the caller passes the body on. */
export function forward(exchange: Exchange, target: ProxyTarget): Promise<IncomingMessage> {
  const { req } = exchange;
  const { url, agent, tls, headers } = target;
  const send = url.protocol === 'https:' ? httpsRequest : httpRequest;
  return new Promise((resolve, reject) => {
    const request = send(url, {
      method: req.method ?? 'GET',
      headers: { ...forwardedHeaders(req), ...framing(req), host: url.host, ...headers },
      signal: disconnectSignal(exchange),
      ...(agent ? { agent } : {}),
      ...(tls ?? {}),
    });
    request.on('response', resolve);
    request.on('error', (err) => reject(unreachable(err)));
    // Behind a request to upgrade comes no body.
    if (exchange.upgrade) request.end();
    else req.pipe(request);
  });
}

export interface Instead {
  readonly headers?: Readonly<Record<string, string | string[] | undefined>>;
  readonly body?: Readable;
}

/** Passes an answer on, but for what is to be said instead. */
export async function passOn(
  exchange: Exchange,
  answer: IncomingMessage,
  { headers = {}, body = answer }: Instead = {},
): Promise<void> {
  const { res } = exchange;
  for (const [name, value] of Object.entries({ ...answer.headers, ...headers })) {
    if (value !== undefined && !HOP_BY_HOP.has(name)) res.setHeader(name, value);
  }
  res.writeHead(answer.statusCode ?? 502);
  res.flushHeaders();
  await pipeline(body, res).catch(() => {
    // One of the two has gone; the other learns of it by the end of its connection.
    res.destroy();
  });
}

function forwardedHeaders({ headers }: IncomingMessage): Record<string, string | string[]> {
  const out: Record<string, string | string[]> = {};
  for (const [name, value] of Object.entries(headers)) {
    if (value !== undefined && !HOP_BY_HOP.has(name) && !PRIVATE.test(name)) out[name] = value;
  }
  return out;
}

/** Node frames bodies itself only for methods that usually have one. */
function framing(req: IncomingMessage): Record<string, string> {
  if (req.headers['content-length'] !== undefined) return {};
  const { stream } = req as { stream?: ServerHttp2Stream };
  const hasBody = stream ? !stream.endAfterHeaders : req.headers['transfer-encoding'] !== undefined;
  return hasBody ? { 'transfer-encoding': 'chunked' } : {};
}

function unreachable(err: Error): ApiError {
  return new ApiError('ServiceUnavailable', `error trying to reach service: ${errorMessage(err)}`, {
    cause: err,
  });
}
