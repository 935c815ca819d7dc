import { X509Certificate } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createSecureServer, type Http2SecureServer, type ServerHttp2Session } from 'node:http2';
import type { AddressInfo, Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { TLSSocket } from 'node:tls';

// What upstream's servers allow an HTTP/1.1 connection without a request.
const IDLE_MS = 90_000;

export interface ListenOptions {
  host: string;
  /** 0: any free one. */
  port: number;
  /** PEM. */
  certificate: string;
  key: string;
  /** PEM of the authorities whose client certificates are believed. Absent: none is asked for. */
  clientAuthority?: string | undefined;
}

/**
 * HTTP/1.1 and HTTP/2 requests alike: node's http2 compatibility objects have the same methods. Headers that only
 * HTTP/1.1 knows (Connection, Transfer-Encoding) must not be set.
 */
export interface HttpHandlers {
  request(req: IncomingMessage, res: ServerResponse): void;
  /** HTTP/1.1 `Upgrade`. Absent: upgrades are refused. */
  upgrade?(req: IncomingMessage, socket: Duplex, head: Buffer): void;
}

export interface HttpListener {
  readonly port: number;
  /**
   * New connections are served with this from now on, and with these authorities of clients if any are given. Throws for
   * what is no certificate, or not the key's, and leaves what there was.
   */
  useCertificate(certificate: string, key: string, clientAuthority?: string): void;
  /** Stops to listen and ends all connections; what is being answered gets up to `graceMs`. */
  close(graceMs?: number): Promise<void>;
}

/** Listens for TLS connections that speak HTTP/1.1 or HTTP/2 (by ALPN). */
export async function listen(
  options: ListenOptions,
  handlers: HttpHandlers,
): Promise<HttpListener> {
  const server = createSecureServer({
    allowHTTP1: true,
    cert: options.certificate,
    key: options.key,
    minVersion: 'TLSv1.2',
    ...(options.clientAuthority === undefined
      ? {}
      : { ca: options.clientAuthority, requestCert: true, rejectUnauthorized: false }),
    // A watch is one stream of its connection: clients keep many of them open.
    settings: { maxConcurrentStreams: 1000, initialWindowSize: 1 << 20 },
  });
  // Node's five seconds would close connections that clients, Go's above all, are just about to use again.
  Object.assign(server, { keepAliveTimeout: IDLE_MS });
  const connections = trackConnections(server);
  server.on('request', (req, res) => {
    connections.busy(req.socket, res);
    handlers.request(req as unknown as IncomingMessage, res as unknown as ServerResponse);
  });
  if (handlers.upgrade) acceptUpgrades(server, handlers.upgrade);
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen({ host: options.host, port: options.port }, () => {
      server.off('error', reject);
      resolve();
    });
  });
  let believed = options.clientAuthority;
  return {
    port: (server.address() as AddressInfo).port,
    useCertificate(certificate, key, clientAuthority = believed) {
      // What is no certificate would be taken for no authority at all.
      if (clientAuthority !== undefined) new X509Certificate(clientAuthority);
      // The whole context is replaced: what is not said again is lost.
      server.setSecureContext({
        cert: certificate,
        key,
        minVersion: 'TLSv1.2',
        ...(clientAuthority === undefined ? {} : { ca: clientAuthority }),
      });
      believed = clientAuthority;
    },
    close: (graceMs = 1000) => closeServer(server, connections, graceMs),
  };
}

function acceptUpgrades(
  server: Http2SecureServer,
  upgrade: (req: IncomingMessage, socket: Duplex, head: Buffer) => void,
): void {
  // HTTP/1.1 connections of an HTTP/2 server emit the events of an HTTP/1.1 server.
  server.on(
    'upgrade' as 'request',
    ((req: IncomingMessage, socket: Duplex, head: Buffer) => upgrade(req, socket, head)) as never,
  );
}

interface Connections {
  readonly sockets: Set<Socket>;
  readonly sessions: Set<ServerHttp2Session>;
  /** HTTP/1.1 sockets with an answer under way. */
  readonly answering: Set<Socket>;
  busy(socket: Socket, res: { on(event: 'close', fn: () => void): unknown }): void;
}

function trackConnections(server: Http2SecureServer): Connections {
  const sockets = new Set<Socket>();
  const sessions = new Set<ServerHttp2Session>();
  const answering = new Set<Socket>();
  server.on('secureConnection', (socket: TLSSocket) => {
    sockets.add(socket);
    socket.setNoDelay(true);
    socket.on('close', () => sockets.delete(socket));
    // A peer that vanishes is no event of ours; the request sees its 'close'.
    socket.on('error', () => {});
  });
  server.on('session', (session) => {
    sessions.add(session);
    session.on('close', () => sessions.delete(session));
    session.on('error', () => {});
  });
  const busy = (socket: Socket, res: { on(event: 'close', fn: () => void): unknown }): void => {
    if (!sockets.has(socket)) return;
    answering.add(socket);
    res.on('close', () => answering.delete(socket));
  };
  return { sockets, sessions, answering, busy };
}

function closeServer(
  server: Http2SecureServer,
  { sockets, sessions, answering }: Connections,
  graceMs: number,
): Promise<void> {
  return new Promise((resolve) => {
    const force = setTimeout(() => {
      for (const socket of sockets) socket.destroy();
    }, graceMs);
    server.close(() => {
      clearTimeout(force);
      resolve();
    });
    for (const session of sessions) session.close();
    for (const socket of sockets) {
      if (isHttp1(socket) && !answering.has(socket)) socket.destroy();
    }
  });
}

function isHttp1(socket: Socket): boolean {
  return (socket as TLSSocket).alpnProtocol !== 'h2';
}
