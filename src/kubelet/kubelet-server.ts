import { readFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import type { Client } from '../client/client.ts';
import { followFiles } from '../http/follow-files.ts';
import { type HealthCheck, healthAnswer } from '../http/health.ts';
import { listen } from '../http/server.ts';
import { refuseUpgrade } from '../http/upgrade.ts';
import type { KeyAndCertificate } from '../pki/ca.ts';
import type { Clock } from '../util/clock.ts';
import { errorMessage } from '../util/errors.ts';
import type { Logger } from '../util/log.ts';
import { type KubeletConfiguration, parseDuration } from './config.ts';
import type { Kubelet } from './kubelet.ts';
import { KubeletDoor } from './server/door.ts';
import { DEBUGGING, HANDLERS } from './server/handlers.ts';
import { HttpError } from './server/http-error.ts';
import { endWhenIdle, streamToRuntime } from './server/streaming.ts';

export interface KubeletServerDeps {
  kubelet: Kubelet;
  client: Client;
  log: Logger;
  /** For spans of time alone. */
  clock: Clock;
  serving: ServingCertificate;
}

/** What the kubelet serves with, now and later. */
export interface ServingCertificate {
  /** Resolves when there is one to begin with. */
  first(signal: AbortSignal): Promise<KeyAndCertificate>;
  /** Calls back whenever it has changed, until aborted. */
  follow(onChange: (pair: KeyAndCertificate) => void, signal: AbortSignal): Promise<void>;
}

/** The kubelet's HTTPS API (10250) and its plain health port on loopback (10248). */
export class KubeletServer {
  readonly #deps: KubeletServerDeps;
  readonly #config: KubeletConfiguration;
  readonly #door: KubeletDoor;

  constructor(deps: KubeletServerDeps, config: KubeletConfiguration) {
    this.#deps = deps;
    this.#config = config;
    const { client, clock, kubelet } = deps;
    this.#door = new KubeletDoor({ client, clock, nodeName: kubelet.options.nodeName }, config);
  }

  /** Serves until aborted. */
  async run(signal: AbortSignal): Promise<void> {
    const { authentication, address, port } = this.#config;
    const { serving, log } = this.#deps;
    const authority = authentication.x509.clientCAFile;
    let pair = await serving.first(signal);
    const clientAuthority = authority === '' ? undefined : await readFile(authority, 'utf8');
    const listener = await listen(
      { ...{ host: address, port }, ...pair, clientAuthority },
      {
        request: (req, res) => void this.#serve(req, res),
        upgrade: (req, socket, head) => void this.#upgrade(req, socket, head),
      },
    );
    const health = await this.#listenForHealth();
    const use = (next: KeyAndCertificate): void => {
      pair = next;
      listener.useCertificate(pair.certificate, pair.key);
      log.info({ port }, 'Serving with a new certificate');
    };
    const believe = ([pem]: string[]): void => {
      listener.useCertificate(pair.certificate, pair.key, pem);
      log.info({ file: authority }, 'Believing clients of changed authorities');
    };
    const onError = (err: unknown): void =>
      log.error({ err: errorMessage(err) }, 'Could not use changed authorities');
    await Promise.all([
      serving.follow(use, signal),
      clientAuthority !== undefined &&
        followFiles([authority], { known: [clientAuthority], onChange: believe, onError }, signal),
    ]);
    health?.close();
    await listener.close();
  }

  async #listenForHealth() {
    const { healthzPort, healthzBindAddress } = this.#config;
    if (healthzPort === 0) return undefined;
    const server = createServer((req, res) => void answerHealth(req, res));
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(healthzPort, healthzBindAddress, resolve);
    });
    return server;
  }

  async #serve(req: IncomingMessage, res: ServerResponse): Promise<void> {
    const closed = new AbortController();
    res.on('close', () => closed.abort());
    try {
      await this.#door.admit(req);
      const url = new URL(req.url ?? '/', 'https://kubelet');
      const [first = '', ...parts] = url.pathname.split('/').filter((p) => p !== '');
      const handler = Object.hasOwn(HANDLERS, first) ? HANDLERS[first] : undefined;
      if (!handler) throw new HttpError(404, '404 page not found');
      if (this.#isDebugging(first)) throw new HttpError(405, 'Debug endpoints are disabled.');
      const request = {
        req,
        res,
        url,
        parts: parts.map(decodeURIComponent),
        signal: closed.signal,
      };
      await handler(request, this.#deps.kubelet);
    } catch (err) {
      this.#fail(res, err);
    }
  }

  #isDebugging(first: string): boolean {
    return !this.#config.enableDebuggingHandlers && DEBUGGING.has(first);
  }

  #fail(res: ServerResponse, err: unknown): void {
    const code = err instanceof HttpError ? err.code : 500;
    if (res.headersSent) {
      res.destroy();
      return;
    }
    res.writeHead(code, { 'Content-Type': 'text/plain; charset=utf-8' });
    res.end(`${errorMessage(err)}\n`);
  }

  async #upgrade(req: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    const closed = new AbortController();
    socket.on('close', () => closed.abort());
    socket.on('error', () => {});
    try {
      await this.#door.admit(req);
      if (!this.#config.enableDebuggingHandlers) {
        throw new HttpError(405, 'Debug endpoints are disabled.');
      }
      endWhenIdle(socket, parseDuration(this.#config.streamingConnectionIdleTimeout));
      await streamToRuntime({ req, socket, head }, this.#deps.kubelet, closed.signal);
    } catch (err) {
      const code = err instanceof HttpError ? err.code : 500;
      refuseUpgrade(socket, { code, body: errorMessage(err) });
    }
  }
}

const PING: HealthCheck = { name: 'ping', check: () => {} };

/** Whether the process answers at all; how the kubelet is, its HTTPS door tells. */
async function answerHealth(req: IncomingMessage, res: ServerResponse): Promise<void> {
  const { pathname, searchParams } = new URL(req.url ?? '/', 'http://kubelet');
  const isKnown = pathname === '/healthz' || pathname === '/healthz/ping';
  const { code, body } = isKnown
    ? await healthAnswer('healthz', [PING], searchParams)
    : { code: 404, body: '404 page not found\n' };
  const nosniff = { 'X-Content-Type-Options': 'nosniff' };
  res.writeHead(code, { 'Content-Type': 'text/plain; charset=utf-8', ...nosniff });
  res.end(body);
}
