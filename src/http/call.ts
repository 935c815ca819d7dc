import type { IncomingHttpHeaders, OutgoingHttpHeaders } from 'node:http';
import { type RequestOptions, request } from 'node:https';
import type { SecureContextOptions } from 'node:tls';

/** One HTTPS request with a small answer: to a webhook, or to another API server about itself. */
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

/**
 * Makes the call on a connection of its own. Redirects are answers like others, never followed. Rejects when the peer
 * cannot be reached, does not answer in time, or answers more than 16 MiB.
 */
export function call({ url, method, headers, body, tls, timeoutMs }: Call): Promise<CallAnswer> {
  return new Promise((resolve, reject) => {
    const options: RequestOptions = {
      ...{ method, agent: false, signal: AbortSignal.timeout(timeoutMs), ...tls },
      headers: { ...headers, ...(body ? { 'content-length': body.length } : {}) },
    };
    const asked = request(url, options, (res) => {
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
    asked.on('error', (err) => reject(isTimeout(err) ? timedOut(url, timeoutMs) : err));
    asked.end(body);
  });
}

function isTimeout(err: Error): boolean {
  return (err.cause as Error | undefined)?.name === 'TimeoutError' || err.name === 'TimeoutError';
}

function timedOut(url: URL, timeoutMs: number): Error {
  const seconds = `${timeoutMs / 1000}s`;
  return new Error(
    `Timeout: ${url.host} did not answer within ${seconds}: context deadline exceeded`,
  );
}
