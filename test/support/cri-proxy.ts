import { linkSync, renameSync, rmSync } from 'node:fs';
import {
  type ClientHttp2Session,
  connect,
  constants,
  createServer,
  type IncomingHttpHeaders,
  type OutgoingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from 'node:http2';
import { createConnection } from 'node:net';

/** What befalls one call on its way to the engine. */
export interface Fault {
  /** Method without its service: `RunPodSandbox`. */
  readonly method: string;
  /** Before the engine hears of the call; it is passed on when this has ended. */
  before?(): Promise<void> | void;
  /** The engine does it, but whoever asked never hears so. */
  readonly losesAnswer?: boolean;
}

/** Stands between a kubelet and its engine, in the place of the engine's socket. */
export interface CriProxy {
  /** The next call of the method meets this; resolves when it has. */
  next(fault: Fault): Promise<void>;
  /** An engine that was started again has taken its place back: steps between once more. */
  again(): void;
  /** Puts the engine's socket back. */
  remove(): Promise<void>;
}

interface Meeting {
  readonly fault: Fault;
  readonly met: () => void;
  readonly failed: (err: unknown) => void;
}

/** The engine goes on to serve on a socket beside its own place; whoever connects from now on meets the proxy. */
export async function stepBetween(socket: string): Promise<CriProxy> {
  const behind = `${socket}.behind`;
  // The server's own name; it is a second one of the same socket that stands in the engine's place.
  const front = `${socket}.front`;
  const take = (): void => {
    renameSync(socket, behind);
    linkSync(front, socket);
  };
  const faults = new Map<string, Meeting>();
  const sessions = new Set<ServerHttp2Session>();
  const server = createServer();
  const engines = new WeakMap<object, ClientHttp2Session>();
  server.on('session', (session) => {
    sessions.add(session);
    // Each connection has its own on the other side: what breaks there breaks here.
    const engine = connect('http://engine', { createConnection: () => createConnection(behind) });
    engines.set(session, engine);
    engine.on('error', () => session.destroy());
    engine.on('close', () => session.destroy());
    session.on('error', () => {});
    session.on('close', () => {
      sessions.delete(session);
      engine.destroy();
    });
  });
  server.on('stream', (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => {
    const method = String(headers[':path']).split('/').at(-1) ?? '';
    stream.on('error', () => {});
    stream.pause();
    const met = faults.get(method);
    faults.delete(method);
    void (async () => {
      await met?.fault.before?.();
      const engine = stream.session && engines.get(stream.session);
      if (engine && !engine.destroyed) passOn(stream, headers, engine, met);
      else stream.close(constants.NGHTTP2_CANCEL);
      if (!met?.fault.losesAnswer) met?.met();
    })().catch((err: unknown) => met?.failed(err));
  });
  await new Promise<void>((resolve) => server.listen(front, resolve));
  take();
  return {
    next: (fault) => new Promise((met, failed) => faults.set(fault.method, { fault, met, failed })),
    again: take,
    async remove() {
      const closed = new Promise((resolve) => server.close(resolve));
      for (const session of sessions) session.destroy();
      await closed;
      rmSync(socket, { force: true });
      renameSync(behind, socket);
    },
  };
}

function passOn(
  stream: ServerHttp2Stream,
  { host, ...headers }: IncomingHttpHeaders,
  engine: ClientHttp2Session,
  met: Meeting | undefined,
): void {
  const asked = engine.request(headers as OutgoingHttpHeaders);
  asked.on('error', () => stream.close(constants.NGHTTP2_CANCEL));
  stream.on('close', () => asked.close());
  stream.pipe(asked);
  if (met?.fault.losesAnswer) {
    asked.resume();
    asked.on('close', () => {
      stream.session?.destroy();
      met.met();
    });
    return;
  }
  let trailers: OutgoingHttpHeaders = {};
  asked.on('response', (answer, flags) => {
    const ends = (flags & constants.NGHTTP2_FLAG_END_STREAM) !== 0;
    stream.respond(own(answer), { waitForTrailers: !ends, endStream: ends });
    if (ends) return;
    stream.on('wantTrailers', () => stream.sendTrailers(trailers));
    asked.pipe(stream);
  });
  asked.on('trailers', (sent) => {
    trailers = own(sent);
  });
}

/** Headers as they can be sent on: what node adds for itself are symbols, which it sends not. */
function own(headers: IncomingHttpHeaders): OutgoingHttpHeaders {
  return { ...headers };
}
