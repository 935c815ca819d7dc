import { connect, isIP, type Socket } from 'node:net';
import { connect as connectTls, createSecureContext, type SecureContext } from 'node:tls';
import { BodyError, HttpAnswerReader } from './http-answer.ts';

export interface HttpGet {
  scheme: 'http' | 'https';
  host: string;
  port: number;
  path: string;
  headers: readonly Header[];
  userAgent: string;
  /** For all of it, redirects too; without it, for ever. */
  timeoutMs?: number;
}

export interface HttpAnswer {
  status: number;
  /** The first 10 KiB. */
  body: string;
}

/** Who was asked by HTTPS speaks HTTP. */
export class PlainAnswerError extends Error {
  override readonly name = 'PlainAnswerError';

  constructor() {
    super('http: server gave HTTP response to HTTPS client');
  }
}

interface Header {
  name: string;
  value: string;
}

const MAX_REQUESTS = 10;
const REDIRECTS = new Set([301, 302, 303, 307, 308]);
// A GET has no body that these could speak of.
const NOT_SENT = new Set(['host', 'user-agent', 'content-length', 'transfer-encoding', 'trailer']);
const NAME = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
const FORBIDDEN = /[^\t\x20-\x7e\x80-\u{10ffff}]/u;

/**
 * One GET as probes and hooks do it: a connection of its own, no proxy, no TLS verification, redirects followed on the
 * same host only. By sockets, for Node's client costs as much again as the connection, and probes are many.
 */
export async function httpGet(options: HttpGet, signal?: AbortSignal): Promise<HttpAnswer> {
  const deadline = performance.now() + (options.timeoutMs ?? Number.POSITIVE_INFINITY);
  let next = options;
  for (let requests = 1; ; requests++) {
    const { status, body, location } = await once(next, deadline, signal);
    if (!location || !REDIRECTS.has(status)) return { status, body };
    const target = new URL(location, urlOf(next));
    if (target.hostname !== new URL(urlOf(options)).hostname) return { status, body };
    if (requests === MAX_REQUESTS) throw new Error(`stopped after ${MAX_REQUESTS} redirects`);
    next = redirected(next, target, URL.canParse(location));
  }
}

export function urlOf({ scheme, host, port, path }: HttpGet): string {
  return `${scheme}://${hostPort(host, port)}${requestTarget(path)}`;
}

function redirected(from: HttpGet, target: URL, isAbsolute: boolean): HttpGet {
  const { protocol, port, pathname, search } = target;
  if (protocol !== 'http:' && protocol !== 'https:') {
    throw new Error(`unsupported protocol scheme ${JSON.stringify(protocol.slice(0, -1))}`);
  }
  const isTls = protocol === 'https:';
  return {
    ...from,
    scheme: isTls ? 'https' : 'http',
    port: Number(port) || (isTls ? 443 : 80),
    path: pathname + search,
    // A name of its own goes along only as long as nobody says another.
    headers: isAbsolute
      ? from.headers.filter((h) => h.name.toLowerCase() !== 'host')
      : from.headers,
  };
}

function hostPort(host: string, port: number): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

/** The path as it may stand in a request: nothing of it ends the line. */
function requestTarget(path: string): string {
  const visible = path.replace(/#.*$/su, '').replace(/[^!-~]|["<>\\^`{|}]/gu, percentEncoded);
  return visible.startsWith('/') ? visible : `/${visible}`;
}

function percentEncoded(character: string): string {
  return Buffer.from(character).toString('hex').toUpperCase().replace(/../g, '%$&');
}

/** Throws where a header would be more than that. */
function requestText({ headers, userAgent, host, port, path }: HttpGet): string {
  const first = (name: string): string | undefined =>
    headers.find((h) => h.name.toLowerCase() === name)?.value;
  let text = `GET ${requestTarget(path)} HTTP/1.1\r\nHost: ${first('host') || hostPort(host, port)}\r\n`;
  const agent = first('user-agent') ?? userAgent;
  if (agent !== '') text += `User-Agent: ${agent}\r\n`;
  const accept = first('accept');
  if (accept === undefined) text += 'Accept: */*\r\n';
  for (const { name, value } of headers) {
    const key = name.toLowerCase();
    const quoted = JSON.stringify(name);
    if (!NAME.test(name)) throw new Error(`net/http: invalid header field name ${quoted}`);
    if (FORBIDDEN.test(value)) {
      throw new Error(`net/http: invalid header field value for ${quoted}`);
    }
    if (NOT_SENT.has(key) || (key === 'accept' && accept === '')) continue;
    text += `${name}: ${value}\r\n`;
  }
  return `${text}Connection: close\r\n\r\n`;
}

// Made once: it costs half as much as a handshake. Nothing of a session is in it.
let tlsContext: SecureContext | undefined;

function open({ scheme, host, port }: HttpGet): Socket {
  if (scheme === 'http') return connect({ host, port });
  const servername = isIP(host) ? '' : host;
  tlsContext ??= createSecureContext();
  const secureContext = tlsContext;
  return connectTls({ host, port, servername, secureContext, rejectUnauthorized: false });
}

function once(
  options: HttpGet,
  deadline: number,
  signal: AbortSignal | undefined,
): Promise<HttpAnswerReader> {
  return new Promise((resolve, reject) => {
    signal?.throwIfAborted();
    const text = requestText(options);
    const answer = new HttpAnswerReader();
    const socket = open(options);
    const settle = (err?: unknown): void => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', abort);
      socket.destroy();
      if (err === undefined) resolve(answer);
      else reject(err);
    };
    const attempt = (isOver: () => boolean): void => {
      try {
        if (isOver()) settle();
      } catch (err) {
        settle(err);
      }
    };
    const timer =
      deadline === Number.POSITIVE_INFINITY
        ? undefined
        : setTimeout(
            () => settle(timeout(options, answer)),
            Math.max(0, deadline - performance.now()),
          );
    const abort = (): void => settle(signal?.reason);
    signal?.addEventListener('abort', abort, { once: true });
    socket.on('error', (err) =>
      settle(answer.hasHead ? new BodyError(err.message) : understood(err)),
    );
    socket.on('data', (piece: Buffer) => attempt(() => answer.push(piece)));
    socket.on('end', () => {
      attempt(() => {
        answer.end();
        return true;
      });
    });
    socket.write(text);
  });
}

/** OpenSSL's way to say that what came back is not TLS. */
function understood(err: Error): Error {
  const isPlain = (err as { code?: string }).code === 'EPROTO' && /wrong version/.test(err.message);
  return isPlain ? new PlainAnswerError() : err;
}

function timeout(options: HttpGet, answer: HttpAnswerReader): Error {
  const reason = 'context deadline exceeded (Client.Timeout';
  if (answer.hasHead) {
    return new BodyError(`${reason} or context cancellation while reading body)`);
  }
  return new Error(
    `Get ${JSON.stringify(urlOf(options))}: ${reason} exceeded while awaiting headers)`,
  );
}
