import { readFile } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { TLSSocket } from 'node:tls';
import { aborted } from '../util/lifecycle.ts';
import { type HealthCheck, healthAnswer } from './health.ts';
import { listen } from './server.ts';

export interface ComponentServerOptions {
  /** 0: no server at all. */
  readonly port: number;
  readonly host: string;
  /** PEM files. Without them the server makes a certificate of its own that nobody else signed. */
  readonly certificateFile?: string | undefined;
  readonly keyFile?: string | undefined;
  /** PEM file: whose client certificates may read the metrics. */
  readonly clientCaFile?: string | undefined;
}

export interface ComponentAnswers {
  readonly checks: readonly HealthCheck[];
  metrics(): Promise<string>;
}

const HEALTH_PATHS = ['/healthz', '/livez', '/readyz'];

/**
 * What the scheduler and the controller manager show of themselves: health to everybody, metrics to those whose client
 * certificate is signed by the cluster's authority. Listens until aborted.
 */
export async function serveComponent(
  options: ComponentServerOptions,
  answers: ComponentAnswers,
  signal: AbortSignal,
): Promise<void> {
  if (options.port === 0) return;
  const { host, port, clientCaFile } = options;
  const clientAuthority = clientCaFile ? await readFile(clientCaFile, 'utf8') : undefined;
  const identity = await servingCertificate(options);
  const listener = await listen(
    { host, port, ...identity, clientAuthority },
    {
      request(req, res) {
        // Whatever goes wrong here has been answered, or the peer is gone.
        answer(req, res, answers).catch(() => res.destroy());
      },
    },
  );
  await aborted(signal);
  await listener.close();
}

async function servingCertificate({ certificateFile, keyFile }: ComponentServerOptions) {
  if (certificateFile && keyFile) {
    const [certificate, key] = await Promise.all([
      readFile(certificateFile, 'utf8'),
      readFile(keyFile, 'utf8'),
    ]);
    return { certificate, key };
  }
  const { createAuthority } = await import('../pki/ca.ts');
  return createAuthority('localhost', Date.now());
}

async function answer(
  req: IncomingMessage,
  res: ServerResponse,
  { checks, metrics }: ComponentAnswers,
): Promise<void> {
  const url = new URL(req.url ?? '/', 'https://localhost');
  const [, root = '', name] = url.pathname.split('/');
  const path = `/${root}`;
  if (HEALTH_PATHS.includes(path)) {
    const chosen = name ? checks.filter((check) => check.name === name) : checks;
    if (name && chosen.length === 0) return send(res, 404, '404 page not found\n');
    const { code, body } = await healthAnswer(root, chosen, url.searchParams);
    return send(res, code, body);
  }
  if (!(req.socket as TLSSocket).authorized) return send(res, 401, 'Unauthorized\n');
  if (url.pathname !== '/metrics') return send(res, 404, '404 page not found\n');
  return send(res, 200, await metrics(), 'text/plain; version=0.0.4; charset=utf-8');
}

function send(
  res: ServerResponse,
  code: number,
  body: string,
  type = 'text/plain; charset=utf-8',
): void {
  res.writeHead(code, { 'content-type': type, 'x-content-type-options': 'nosniff' });
  res.end(body);
}
