import { request as httpRequest, type IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { ApiError, REASON_CODES, type Status } from '../api/errors.ts';
import type { Clock } from '../util/clock.ts';
import { errnoOf } from '../util/errors.ts';
import type { Agents, Credentials } from './credentials.ts';

export interface WireRequest {
  readonly method: string;
  /** With its query. */
  readonly path: string;
  readonly accept?: string;
  readonly contentType?: string;
  /** JSON text. */
  readonly body?: string;
}

/** client-go follows Retry-After at most this often before it gives the answer to the caller. */
const MAX_RETRY_AFTER = 10;
/**
 * A server that does not begin to answer for this long is taken for dead. What only reads, watches too, is soon asked
 * anew: after the 30 + 15 s in which client-go finds a dead connection. A connection that is silent in between is found
 * dead by the kernel (`KEEP_ALIVE` of the agents).
 */
const READ_TIMEOUT_MS = 45_000;
const WRITE_TIMEOUT_MS = 60_000;

/** Sends requests and turns refusals into ApiError. Knows HTTP, nothing of resources. */
export class Transport {
  readonly #server: URL;
  readonly #deps: { credentials: Credentials; clock: Clock; userAgent: string };

  constructor(server: string, deps: { credentials: Credentials; clock: Clock; userAgent: string }) {
    this.#server = new URL(server);
    this.#deps = deps;
  }

  /** The parsed JSON answer; undefined for an empty one. */
  async json(request: WireRequest, signal?: AbortSignal): Promise<unknown> {
    for (let tries = 0; ; tries++) {
      const response = await this.#send(request, 'requests', signal);
      const text = await readText(response);
      const status = response.statusCode ?? 0;
      if (status >= 200 && status < 300) return parseBody(text, response);
      if (status === 401) this.#deps.credentials.refused();
      const wait = retryAfterMs(response);
      if (wait === undefined || tries >= MAX_RETRY_AFTER) throw refusal(status, text);
      await this.#deps.clock.sleep(wait, signal);
    }
  }

  /** The answer's body as it arrives. Ends with the response; throws when the connection breaks. */
  async *stream(request: WireRequest, signal: AbortSignal): AsyncGenerator<Buffer> {
    const response = await this.#send(request, 'watches', signal);
    const status = response.statusCode ?? 0;
    if (status === 401) this.#deps.credentials.refused();
    if (status < 200 || status >= 300) throw refusal(status, await readText(response));
    try {
      for await (const chunk of response) yield chunk as Buffer;
    } finally {
      // Half-read: the connection cannot be used again.
      response.destroy();
    }
  }

  async #send(
    request: WireRequest,
    kind: keyof Agents,
    signal: AbortSignal | undefined,
  ): Promise<IncomingMessage> {
    for (let tries = 0; ; tries++) {
      signal?.throwIfAborted();
      const { agents, headers } = await this.#deps.credentials.current();
      const options = {
        agent: agents[kind],
        method: request.method,
        host: this.#server.hostname.replace(/^\[|\]$/g, ''),
        port: this.#server.port || (this.#server.protocol === 'http:' ? 80 : 443),
        path: `${this.#server.pathname.replace(/\/$/, '')}${request.path}`,
        headers: { ...headers, ...this.#headersOf(request) },
        ...(signal ? { signal } : {}),
      };
      const { response, stale } = await exchange(
        this.#server.protocol === 'http:' ? httpRequest(options) : httpsRequest(options),
        { body: request.body, clock: this.#deps.clock },
      ).catch((err: unknown) => {
        // The authorities may have changed since their file was read.
        if (DISBELIEF.has(errnoOf(err) ?? '')) this.#deps.credentials.refused();
        throw err;
      });
      if (response) return response;
      // The server closed a kept-alive connection as we took it. What creates must not be sent twice.
      if (request.method === 'POST' || tries >= 2) throw stale;
    }
  }

  #headersOf(request: WireRequest): Record<string, string> {
    return {
      accept: request.accept ?? 'application/json',
      'user-agent': this.#deps.userAgent,
      ...(request.body === undefined
        ? {}
        : {
            'content-type': request.contentType ?? 'application/json',
            'content-length': String(Buffer.byteLength(request.body)),
          }),
    };
  }
}

/** What Node says of a server whose authority it does not know. */
const DISBELIEF = new Set([
  'CERT_SIGNATURE_FAILURE',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
]);

/** Resolves at the response's head; with `stale` when a reused connection turned out to be closed. */
function exchange(
  request: ReturnType<typeof httpRequest>,
  { body, clock }: { body: string | undefined; clock: Clock },
): Promise<{ response?: IncomingMessage; stale?: unknown }> {
  const patienceMs = request.method === 'GET' ? READ_TIMEOUT_MS : WRITE_TIMEOUT_MS;
  let stopWaiting = () => {};
  return new Promise((resolve, reject) => {
    request.setNoDelay(true);
    // From here on, not while it waits for a connection that others use.
    request.on('socket', () => {
      stopWaiting = clock.after(patienceMs, () => {
        request.destroy(new Error('The API server does not answer'));
      });
    });
    request.on('close', () => stopWaiting());
    request.on('response', (response) => {
      stopWaiting();
      resolve({ response });
    });
    request.on('error', (err) => {
      if (request.reusedSocket && errnoOf(err) === 'ECONNRESET') resolve({ stale: err });
      else reject(err);
    });
    request.end(body);
  });
}

async function readText(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString('utf8');
}

function parseBody(text: string, response: IncomingMessage): unknown {
  if (text === '') return undefined;
  const type = response.headers['content-type'] ?? '';
  return type.includes('json') ? JSON.parse(text) : text;
}

/** client-go waits and repeats when a 429 or a 5xx carries Retry-After (seconds). */
function retryAfterMs(response: IncomingMessage): number | undefined {
  const status = response.statusCode ?? 0;
  const seconds = Number(response.headers['retry-after'] ?? Number.NaN);
  if ((status !== 429 && status < 500) || !Number.isFinite(seconds)) return undefined;
  return seconds * 1000;
}

function refusal(code: number, text: string): ApiError {
  const status = parseStatus(text);
  if (status) return ApiError.fromStatus({ code, ...status });
  const reason = Object.entries(REASON_CODES).find(([, value]) => value === code)?.[0] ?? '';
  const said = text.trim().slice(0, 200);
  return new ApiError(reason, said === '' ? `The server answered ${code}` : said, { code });
}

function parseStatus(text: string): Status | undefined {
  try {
    const body = JSON.parse(text) as Status;
    return body.kind === 'Status' ? body : undefined;
  } catch {
    return undefined; // a proxy's HTML or plain text
  }
}
