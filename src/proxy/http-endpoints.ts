import { createServer, type RequestListener, type Server, type ServerResponse } from 'node:http';
import { HealthMetrics } from '../http/health-metrics.ts';
import type { ProxyMode } from './backend.ts';
import type { ProxyMetrics } from './metrics.ts';
import type { HealthAnswer, ProxyHealth } from './proxy-health.ts';

export interface Address {
  readonly host: string;
  readonly port: number;
}

/** Parses `IP:PORT`, `[IPv6]:PORT` or a bare `:PORT`. Throws when it is neither. */
export function parseAddress(text: string): Address {
  const [, bracketed, plain, port] = /^(?:\[([^\]]*)\]|([^:]*)):(\d{1,5})$/.exec(text) ?? [];
  const number = Number(port);
  if (port === undefined || number > 65_535) throw new Error(`Invalid address and port ${text}`);
  return { host: bracketed ?? plain ?? '', port: number };
}

/** Answers health questions (port 10256): `/healthz` for load balancers, `/livez` for liveness probes. */
export function healthListener(health: ProxyHealth, metrics: ProxyMetrics): RequestListener {
  return (request, response) => {
    if (request.url === '/healthz') answerHealth(response, health.healthz(), metrics.healthz);
    else if (request.url === '/livez') answerHealth(response, health.livez(), metrics.livez);
    else notFound(response);
  };
}

function answerHealth(
  response: ServerResponse,
  { healthy, body }: HealthAnswer,
  counter: ProxyMetrics['healthz'],
): void {
  const code = healthy ? 200 : 503;
  counter.inc({ code: String(code) });
  response.writeHead(code, {
    'content-type': 'application/json',
    'x-content-type-options': 'nosniff',
  });
  response.end(JSON.stringify(body));
}

const METRICS = 'text/plain; version=0.0.4; charset=utf-8';
const PING = { name: 'ping', check: () => {} };

/** Port 10249: metrics, mode and configuration. */
export function metricsListener(facts: {
  mode: ProxyMode;
  configuration: unknown;
  metrics: ProxyMetrics;
}): RequestListener {
  const text = (response: ServerResponse, body: string, type = 'text/plain; charset=utf-8') => {
    response.writeHead(200, { 'content-type': type, 'x-content-type-options': 'nosniff' });
    response.end(body);
  };
  const health = new HealthMetrics();
  return (request, response) => {
    switch (request.url?.split('?')[0]) {
      case '/healthz':
        // Whether the process answers at all, which is what it does here.
        void Promise.all(health.kept('healthz', [PING]).map(({ check }) => check()));
        text(response, 'ok');
        break;
      case '/metrics/slis':
        health.render().then(
          (body) => text(response, body, METRICS),
          () => response.destroy(),
        );
        break;
      case '/proxyMode':
        text(response, facts.mode);
        break;
      case '/configz':
        text(
          response,
          JSON.stringify({ 'kubeproxy.config.k8s.io': facts.configuration }),
          'application/json',
        );
        break;
      case '/metrics':
        facts.metrics.registry.render().then(
          (body) => text(response, body, METRICS),
          () => response.destroy(),
        );
        break;
      default:
        notFound(response);
    }
  };
}

function notFound(response: ServerResponse): void {
  response.writeHead(404, { 'content-type': 'text/plain; charset=utf-8' });
  response.end('404 page not found\n');
}

/** Serves until aborted. Rejects when the address cannot be had. */
export async function serveHttp(
  listener: RequestListener,
  { host, port }: Address,
  signal: AbortSignal,
): Promise<void> {
  const server: Server = createServer(listener);
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.once('close', resolve);
    server.listen({ port, signal, ...(host === '' ? {} : { host }) });
    signal.addEventListener('abort', () => server.closeAllConnections(), { once: true });
  });
}
