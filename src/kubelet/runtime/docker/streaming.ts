import { randomBytes } from 'node:crypto';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Duplex, Readable, Writable } from 'node:stream';
import { SpdyConnection, type SpdyStream } from '../../../http/spdy.ts';
import { refuseUpgrade } from '../../../http/upgrade.ts';

/** The streams of one exec or attach, as a client opened them. */
export interface ClientStreams {
  readonly stdin: Readable | undefined;
  readonly stdout: Writable | undefined;
  readonly stderr: Writable | undefined;
  /** Called with each size of the client's terminal. */
  onResize(listener: (size: { width: number; height: number }) => void): void;
}

/** What a prepared URL does when somebody connects. `command` answers the exit code. */
export type Prepared =
  | {
      readonly kind: 'command';
      readonly streams: readonly string[];
      run(streams: ClientStreams): Promise<number>;
    }
  | { readonly kind: 'ports'; connect(port: number): Promise<Duplex> };

const PROTOCOL = 'v4.channel.k8s.io';
const PORT_PROTOCOL = 'portforward.k8s.io';
// Whoever asked for the URL connects at once.
const PREPARED_MS = 60_000;

/** Serves exec, attach and port-forward over SPDY on loopback, as a CRI runtime's streaming server does. */
export class StreamingServer {
  readonly #prepared = new Map<string, { what: Prepared; timer: NodeJS.Timeout }>();
  #listening: Promise<{ server: Server; port: number }> | undefined;

  /** Answers the URL at which the stream can be had, once. */
  async prepare(what: Prepared): Promise<string> {
    this.#listening ??= this.#listen();
    const { port } = await this.#listening;
    const token = randomBytes(16).toString('hex');
    const timer = setTimeout(() => this.#prepared.delete(token), PREPARED_MS);
    timer.unref();
    this.#prepared.set(token, { what, timer });
    return `http://127.0.0.1:${port}/${token}`;
  }

  close(): void {
    for (const { timer } of this.#prepared.values()) clearTimeout(timer);
    this.#prepared.clear();
    void this.#listening?.then(({ server }) => server.close());
  }

  async #listen(): Promise<{ server: Server; port: number }> {
    const server = createServer((_req, res) => res.writeHead(404).end());
    server.on('upgrade', (req, socket, head) => this.#upgrade(req, socket, head));
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(0, '127.0.0.1', resolve);
    });
    server.unref();
    return { server, port: (server.address() as AddressInfo).port };
  }

  #upgrade(req: IncomingMessage, socket: Duplex, head: Buffer): void {
    socket.on('error', () => {});
    const token = (req.url ?? '').slice(1).split('?')[0] ?? '';
    const found = this.#prepared.get(token);
    const offered = (req.headers['x-stream-protocol-version'] ?? '').toString();
    if (!found) {
      refuseUpgrade(socket, { code: 404, body: 'stream not found' });
      return;
    }
    clearTimeout(found.timer);
    this.#prepared.delete(token);
    const protocol = found.what.kind === 'ports' ? PORT_PROTOCOL : PROTOCOL;
    if (!offered.includes(protocol)) {
      refuseUpgrade(socket, { code: 403, body: `unable to upgrade: no ${protocol}` });
      return;
    }
    socket.write(
      `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\nX-Stream-Protocol-Version: ${protocol}\r\n\r\n`,
    );
    if (found.what.kind === 'ports') servePorts(socket, head, found.what);
    else serveCommand(socket, head, found.what);
  }
}

type Command = Extract<Prepared, { kind: 'command' }>;

/** Waits for the streams that were asked for, runs the command, and tells how it ended on the error stream. */
function serveCommand(socket: Duplex, head: Buffer, { streams: names, run }: Command): void {
  const opened = new Map<string, SpdyStream>();
  const connection = new SpdyConnection(socket, {
    role: 'server',
    head,
    onStream: (stream) => {
      opened.set(stream.headers.streamtype ?? '', stream);
      if (['error', ...names].every((name) => opened.has(name)) && !started) begin();
    },
  });
  let started = false;
  const begin = (): void => {
    started = true;
    run({
      stdin: opened.get('stdin'),
      stdout: opened.get('stdout'),
      stderr: opened.get('stderr'),
      onResize: (listener) =>
        opened.get('resize')?.on('data', (chunk: Buffer) => sizes(chunk, listener)),
    })
      .then(endStatus, failureStatus)
      .then((status) => finish(opened, connection, status))
      .catch(() => connection.close());
  };
}

async function finish(
  opened: ReadonlyMap<string, SpdyStream>,
  connection: SpdyConnection,
  status: object,
): Promise<void> {
  const ended = ['stdout', 'stderr'].map((name) => endOf(opened.get(name)));
  await Promise.all(ended);
  const error = opened.get('error');
  error?.write(JSON.stringify(status));
  await endOf(error);
  connection.close();
}

function endOf(stream: Writable | undefined): Promise<void> {
  if (!stream || stream.destroyed) return Promise.resolve();
  return new Promise((resolve) => {
    stream.once('close', resolve);
    stream.end(resolve);
  });
}

function endStatus(exitCode: number): object {
  if (exitCode === 0) return { metadata: {}, status: 'Success' };
  return {
    metadata: {},
    status: 'Failure',
    reason: 'NonZeroExitCode',
    message: `command terminated with non-zero exit code: exit status ${exitCode}`,
    details: { causes: [{ reason: 'ExitCode', message: String(exitCode) }] },
  };
}

function failureStatus(err: unknown): object {
  const message = err instanceof Error ? err.message : String(err);
  return { metadata: {}, status: 'Failure', reason: 'InternalError', message, code: 500 };
}

/** Terminal sizes come as JSON documents, one or more in a chunk. */
function sizes(chunk: Buffer, listener: (size: { width: number; height: number }) => void): void {
  for (const [text] of chunk.toString('utf8').matchAll(/\{[^}]*\}/g)) {
    const { Width = 0, Height = 0 } = JSON.parse(text) as { Width?: number; Height?: number };
    if (Width > 0 && Height > 0) listener({ width: Width, height: Height });
  }
}

/** A pair of streams per connection: one for data, one for what went wrong. */
function servePorts(
  socket: Duplex,
  head: Buffer,
  { connect }: Extract<Prepared, { kind: 'ports' }>,
): void {
  const waiting = new Map<string, SpdyStream>();
  new SpdyConnection(socket, {
    role: 'server',
    head,
    onStream: (stream) => {
      const { requestid = '', streamtype } = stream.headers;
      const other = waiting.get(requestid);
      if (!other) {
        waiting.set(requestid, stream);
        return;
      }
      waiting.delete(requestid);
      const [data, error] = streamtype === 'data' ? [stream, other] : [other, stream];
      void joinPort({ data, error }, connect);
    },
  });
}

async function joinPort(
  { data, error }: { data: SpdyStream; error: SpdyStream },
  connect: (port: number) => Promise<Duplex>,
): Promise<void> {
  const port = Number(data.headers.port);
  try {
    const target = await connect(port);
    target.on('error', () => data.destroy());
    data.on('close', () => target.destroy());
    target.on('close', () => {
      data.end();
      error.end();
    });
    data.pipe(target);
    target.pipe(data);
  } catch (err) {
    error.write(`error forwarding port ${port}: ${String(err)}`);
    error.end();
    data.end();
  }
}
