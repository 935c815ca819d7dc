import { request as httpRequest, type IncomingMessage, type OutgoingHttpHeaders } from 'node:http';
import { request as httpsRequest } from 'node:https';
import type { Duplex } from 'node:stream';
import type { SecureContextOptions } from 'node:tls';

/** A request of a client that wants to leave HTTP, as Node's server hands it over. */
export interface UpgradeRequest {
  readonly req: IncomingMessage;
  readonly socket: Duplex;
  /** Bytes that the client sent right behind its request. */
  readonly head: Buffer;
}

/** Who is asked to upgrade in turn. */
export interface UpgradeTarget {
  readonly url: URL;
  /** For https: whom to believe, and who we are. */
  readonly tls?: SecureContextOptions & { readonly servername?: string };
  /** Besides the client's own. */
  readonly headers?: OutgoingHttpHeaders;
}

/** What a back end that did not upgrade said instead. */
export interface UpgradeRefusal {
  readonly kind: 'refused';
  readonly code: number;
  readonly message: string;
  readonly headers: IncomingMessage['headers'];
  readonly body: Buffer;
}

export interface Upgraded {
  readonly kind: 'upgraded';
  readonly socket: Duplex;
  readonly head: Buffer;
  readonly headers: IncomingMessage['headers'];
}

/** An error answer is a Status or a sentence; more than this of it is nobody's help. */
const MAX_BODY = 64 * 1024;

/**
 * Asks `target` to upgrade. Only a 101 counts: after any other answer nothing of the client's may reach the
 * connection, or the client would speak to the back end with our credentials (CVE-2018-1002105). Redirects are
 * answers like others, never followed. Rejects when the back end cannot be reached.
 */
export function dialUpgrade(
  target: UpgradeTarget,
  method: string,
  headers: OutgoingHttpHeaders,
  signal?: AbortSignal,
): Promise<Upgraded | UpgradeRefusal> {
  const { url, tls } = target;
  const dial = url.protocol === 'https:' ? httpsRequest : httpRequest;
  return new Promise((resolve, reject) => {
    const request = dial(url, {
      method,
      headers: { ...headers, host: url.host, ...target.headers },
      agent: false,
      ...(url.protocol === 'https:' ? tls : {}),
      ...(signal ? { signal } : {}),
    });
    request.on('error', reject);
    request.on('upgrade', (res, socket, head) => {
      if (res.statusCode === 101) {
        resolve({ kind: 'upgraded', socket, head, headers: res.headers });
        return;
      }
      socket.destroy();
      const { statusCode: code = 502, statusMessage: message = '', headers } = res;
      resolve({ kind: 'refused', code, message, headers, body: Buffer.alloc(0) });
    });
    request.on('response', (res) => {
      readBody(res).then((body) => {
        request.destroy();
        const { statusCode: code = 502, statusMessage: message = '', headers } = res;
        resolve({ kind: 'refused', code, message, headers, body });
      }, reject);
    });
    request.end();
  });
}

async function readBody(res: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of res) {
    chunks.push(chunk as Buffer);
    size += (chunk as Buffer).length;
    if (size >= MAX_BODY) break;
  }
  return Buffer.concat(chunks).subarray(0, MAX_BODY);
}

/** Answers a client that wanted to upgrade with an ordinary response, and closes. */
export function refuseUpgrade(
  socket: Duplex,
  answer: { code: number; message?: string; contentType?: string; body: string | Buffer },
): void {
  const body = Buffer.from(answer.body);
  const head = [
    `HTTP/1.1 ${answer.code} ${answer.message ?? ''}`.trimEnd(),
    `Content-Type: ${answer.contentType ?? 'text/plain; charset=utf-8'}`,
    `Content-Length: ${body.length}`,
    'Connection: close',
  ];
  socket.on('error', () => {});
  socket.end(Buffer.concat([Buffer.from(`${head.join('\r\n')}\r\n\r\n`), body]));
}

/** Joins two sockets until either side is done; `toA` and `toB` are delivered first. What was read is still written. */
export function splice(a: Duplex, b: Duplex, toA: Buffer, toB: Buffer): Promise<void> {
  return new Promise((resolve) => {
    const follow = (gone: Duplex, other: Duplex) => {
      gone.on('error', () => {});
      gone.on('close', () => {
        finishAndDestroy(other);
        if (a.destroyed && b.destroyed) resolve();
      });
    };
    follow(a, b);
    follow(b, a);
    if (toA.length > 0) a.write(toA);
    if (toB.length > 0) b.write(toB);
    a.pipe(b);
    b.pipe(a);
  });
}

/** Ends a socket once everything given to it is written, also when `end` was called before. */
export function finishAndDestroy(socket: Duplex): void {
  if (socket.destroyed) return;
  if (socket.writableFinished) socket.destroy();
  else {
    socket.once('finish', () => socket.destroy());
    if (!socket.writableEnded) socket.end();
  }
}
