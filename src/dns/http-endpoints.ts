import { createServer, type ServerResponse } from 'node:http';
import type { DnsMetrics } from './metrics.ts';

export interface HttpFacts {
  /** Names can be answered and the server is not about to end. */
  readonly ready: () => boolean;
  readonly metrics: DnsMetrics;
}

type Page = (response: ServerResponse, facts: HttpFacts) => void;

/** CoreDNS has each page on a port of its own, and manifests name those ports. */
export const HTTP_PAGES: Readonly<Record<'health' | 'ready' | 'metrics', Page>> = {
  health: (response) => response.end('OK'),
  ready: (response, { ready }) => {
    if (ready()) response.end('OK');
    else response.writeHead(503).end('kubernetes');
  },
  metrics: (response, { metrics }) => {
    metrics.registry.render().then(
      (text) =>
        response.setHeader('content-type', 'text/plain; version=0.0.4; charset=utf-8').end(text),
      () => response.destroy(),
    );
  },
};

/** Serves one page, at its name, until aborted. Rejects when the port cannot be had. */
export async function serveHttpPage(
  page: keyof typeof HTTP_PAGES,
  port: number,
  facts: HttpFacts,
  signal: AbortSignal,
): Promise<void> {
  const server = createServer((request, response) => {
    if (request.url?.split('?')[0] === `/${page}`) HTTP_PAGES[page](response, facts);
    else response.writeHead(404).end('404 page not found\n');
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.once('close', resolve);
    server.listen({ port, signal });
    signal.addEventListener('abort', () => server.closeAllConnections(), { once: true });
  });
}
