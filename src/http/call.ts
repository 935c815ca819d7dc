import type { IncomingHttpHeaders, OutgoingHttpHeaders } from 'node:http';
import { Agent, type RequestOptions, request } from 'node:https';
import type { SecureContextOptions } from 'node:tls';

/** One HTTPS request with a small answer, that may be sent twice: to a webhook, or to another server about itself. */
export interface Call {
  readonly url: URL;
  readonly method: 'GET' | 'POST';
  readonly headers: OutgoingHttpHeaders;
  readonly body?: Buffer | undefined;
  /** Whom to believe and who we are. `servername`: whose certificate it must be, when the URL holds an address. */
  readonly tls: SecureContextOptions & { servername?: string; rejectUnauthorized?: boolean };
  readonly timeoutMs: number;
}

export interface CallAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

const MAX_ANSWER = 16 * 1024 * 1024;

/** Connections are kept for the next call to the same peer with the same credentials, for a while. */
const kept = new Agent({ keepAlive: true, timeout: 30_000, maxFreeSockets: 16 });

/**
 * Makes the call. Redirects are answers like others, never followed. Rejects when the peer cannot be reached, does not
 * answer in time, or answers more than 16 MiB.
 */
export async function call(asked: Call): Promise<CallAnswer> {
  const signal = AbortSignal.timeout(asked.timeoutMs);
  for (;;) {
    try {
      return await attempt(asked, signal);
    } catch (err) {
      if (isTimeout(err as Error)) throw timedOut(asked);
      // The peer closed a kept connection as it was taken; the next is another, or new.
      if (!(err instanceof StaleConnection)) throw err;
    }
  }
}

class StaleConnection extends Error {}

function attempt(
  { url, method, headers, body, tls }: Call,
  signal: AbortSignal,
): Promise<CallAnswer> {
  return new Promise((resolve, reject) => {
    const options: RequestOptions = {
      ...{ method, agent: kept, signal, ...tls },
      headers: { ...headers, ...(body ? { 'content-length': body.length } : {}) },
    };
    let isAnswered = false;
    const asked = request(url, options, (res) => {
      isAnswered = true;
      const chunks: Buffer[] = [];
      let size = 0;
      res.on('data', (chunk: Buffer) => {
        size += chunk.length;
        if (size > MAX_ANSWER) asked.destroy(new Error(`The answer of ${url.host} is too large`));
        else chunks.push(chunk);
      });
      res.on('error', reject);
      res.on('end', () => {
        resolve({ status: res.statusCode ?? 0, headers: res.headers, body: Buffer.concat(chunks) });
      });
    });
    asked.on('error', (err: NodeJS.ErrnoException) => {
      const isStale = asked.reusedSocket && !isAnswered && STALE.has(err.code ?? '');
      reject(isStale ? new StaleConnection() : err);
    });
    asked.end(body);
  });
}

const STALE = new Set(['ECONNRESET', 'EPIPE']);

function isTimeout(err: Error): boolean {
  return (err.cause as Error | undefined)?.name === 'TimeoutError' || err.name === 'TimeoutError';
}

/** The peer did not answer in time. */
export class CallTimeout extends Error {
  override readonly name = 'CallTimeout';
}

function timedOut({ url, timeoutMs }: Call): Error {
  const seconds = `${timeoutMs / 1000}s`;
  return new CallTimeout(
    `Timeout: ${url.host} did not answer within ${seconds}: context deadline exceeded`,
  );
}
