import { Agent as HttpAgent, request as httpRequest } from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';

export interface HttpGet {
  scheme: 'http' | 'https';
  host: string;
  port: number;
  path: string;
  headers: readonly { name: string; value: string }[];
  userAgent: string;
  timeoutMs: number;
}

export interface HttpAnswer {
  status: number;
  /** The first 10 KiB. */
  body: string;
  /** Where a redirect leads that was not followed: another host. */
  redirect?: string | undefined;
}

const MAX_BODY = 10 * 1024;
const MAX_REDIRECTS = 10;
// A connection each: what is asked is whether a new one would be served.
const HTTP_AGENT = new HttpAgent({ keepAlive: false });
const HTTPS_AGENT = new HttpsAgent({ keepAlive: false, maxCachedSessions: 0 });

/** One GET as probes and hooks do it: no proxy, no TLS verification, redirects followed on the same host only. */
export async function httpGet(options: HttpGet, signal?: AbortSignal): Promise<HttpAnswer> {
  const deadline = performance.now() + options.timeoutMs;
  let next = options;
  for (let hops = 0; ; hops++) {
    const { location, ...answer } = await once(next, deadline, signal);
    if (location === undefined || answer.status < 300 || answer.status >= 400) return answer;
    const target = new URL(location, urlOf(next));
    const sameHost = target.hostname === new URL(urlOf(options)).hostname;
    if (!sameHost) return { ...answer, redirect: target.href };
    if (hops === MAX_REDIRECTS) throw new Error(`stopped after ${MAX_REDIRECTS} redirects`);
    next = {
      ...next,
      scheme: target.protocol === 'https:' ? 'https' : 'http',
      port: Number(target.port) || (target.protocol === 'https:' ? 443 : 80),
      path: target.pathname + target.search,
    };
  }
}

export function urlOf({ scheme, host, port, path }: HttpGet): string {
  const name = host.includes(':') ? `[${host}]` : host;
  return `${scheme}://${name}:${port}${path.startsWith('/') ? '' : '/'}${path}`;
}

function headersOf({ headers, userAgent, host, port }: HttpGet): Record<string, string | string[]> {
  const all: Record<string, string[]> = {};
  for (const { name, value } of headers) {
    const key = name.toLowerCase();
    all[key] = [...(all[key] ?? []), value];
  }
  const merged: Record<string, string | string[]> = {
    'user-agent': userAgent,
    accept: '*/*',
    host: `${host.includes(':') ? `[${host}]` : host}:${port}`,
    connection: 'close',
  };
  for (const [name, values] of Object.entries(all)) {
    // An empty value takes a header of ours away.
    if (values.every((v) => v === '')) delete merged[name];
    else merged[name] = values.length === 1 ? (values[0] ?? '') : values;
  }
  return merged;
}

function once(
  options: HttpGet,
  deadline: number,
  signal: AbortSignal | undefined,
): Promise<HttpAnswer & { location?: string | undefined }> {
  const send = options.scheme === 'https' ? httpsRequest : httpRequest;
  return new Promise((resolve, reject) => {
    // A timer and a listener, not signals made for each call: those cost as much as the request.
    const cut = (err: Error): void => void request.destroy(err);
    const timer = setTimeout(
      () => cut(new Error(timeoutMessage(options))),
      Math.max(0, deadline - performance.now()),
    );
    const abort = (): void => cut(signal?.reason as Error);
    const settle = (): void => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', abort);
    };
    const fail = (err: Error): void => {
      settle();
      reject(err);
    };
    const request = send(
      {
        host: options.host,
        port: options.port,
        path: options.path.startsWith('/') ? options.path : `/${options.path}`,
        headers: headersOf(options),
        agent: options.scheme === 'https' ? HTTPS_AGENT : HTTP_AGENT,
        rejectUnauthorized: false,
      },
      (response) => {
        const chunks: Buffer[] = [];
        let length = 0;
        const finish = (): void => {
          settle();
          const body = Buffer.concat(chunks).subarray(0, MAX_BODY).toString('utf8');
          resolve({ status: response.statusCode ?? 0, body, location: response.headers.location });
        };
        response.on('data', (chunk: Buffer) => {
          chunks.push(chunk);
          length += chunk.length;
          if (length < MAX_BODY) return;
          finish();
          response.destroy();
        });
        response.on('end', finish);
        response.on('error', fail);
      },
    );
    request.on('error', fail);
    signal?.addEventListener('abort', abort, { once: true });
    if (signal?.aborted) abort();
    request.end();
  });
}

function timeoutMessage(options: HttpGet): string {
  return `Get ${JSON.stringify(urlOf(options))}: context deadline exceeded (Client.Timeout exceeded while awaiting headers)`;
}
