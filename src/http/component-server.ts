import { readFile } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { TLSSocket } from 'node:tls';
import { aborted } from '../util/lifecycle.ts';
import { followFiles } from './follow-files.ts';
import { type HealthCheck, healthAnswer } from './health.ts';
import { HealthMetrics } from './health-metrics.ts';
import { listen } from './server.ts';

export interface ComponentServerOptions {
  /** 0: no server at all. */
  readonly port: number;
  readonly host: string;
  /** PEM files; changed ones count at once. Without them the server makes a certificate of its own that nobody else signed. */
  readonly certificateFile?: string | undefined;
  readonly keyFile?: string | undefined;
  /** PEM file: whose client certificates may read the metrics. */
  readonly clientCaFile?: string | undefined;
  /** Told of changed files that cannot be used. */
  onError(err: unknown): void;
  /** Without such a file: tells of the authority, and of each later one. Until then no client is believed. */
  readonly followClientCa?:
    | ((found: (authority: string) => void, signal: AbortSignal) => Promise<void>)
    | undefined;
}

export interface ComponentAnswers {
  /** Asked anew at each request. */
  checks(): readonly HealthCheck[];
  metrics(): Promise<string>;
  /** More pages for those who may read metrics: path → JSON; undefined is answered with 404. */
  readonly pages?: Readonly<Record<string, (query: URLSearchParams) => unknown>>;
  /** Whether a client with a good certificate may GET the path. Absent: yes. */
  authorize?(user: { name: string; groups: string[] }, path: string): Promise<boolean>;
}

/** The same, and what was found of its health. */
type Answers = ComponentAnswers & { readonly health: HealthMetrics };

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
  const { host, port, clientCaFile, certificateFile, keyFile, followClientCa, onError } = options;
  let serving = await servingCertificate(options);
  // Of its own certificate nobody else has a sister: until the authority is found, no client is believed.
  let found = followClientCa && serving.certificate;
  const readAuthority = async () => (clientCaFile ? readFile(clientCaFile, 'utf8') : found);
  const all: Answers = { ...answers, health: new HealthMetrics() };
  const listener = await listen(
    { host, port, ...serving, clientAuthority: await readAuthority() },
    {
      request(req, res) {
        // Whatever goes wrong here has been answered, or the peer is gone.
        answer(req, res, all).catch(() => res.destroy());
      },
    },
  );
  const use = async (): Promise<void> => {
    // A certificate of its own making stays as long as the process.
    if (certificateFile && keyFile) serving = await servingCertificate(options);
    listener.useCertificate(serving.certificate, serving.key, await readAuthority());
  };
  const files = [clientCaFile, certificateFile, keyFile].filter((file) => file !== undefined);
  // What cannot be used leaves what there was.
  const onChange = () => void use().catch(onError);
  const followed = followFiles(files, { onChange, onError }, signal);
  const finding = followClientCa?.((authority) => {
    found = authority;
    onChange();
  }, signal).catch((err: unknown) => {
    if (!signal.aborted) onError(err);
  });
  await aborted(signal);
  await Promise.all([followed, finding]);
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

async function answer(req: IncomingMessage, res: ServerResponse, answers: Answers): Promise<void> {
  const { checks, health } = answers;
  const url = new URL(req.url ?? '/', 'https://localhost');
  const [, root = '', name] = url.pathname.split('/');
  const path = `/${root}`;
  if (HEALTH_PATHS.includes(path)) {
    const all = checks();
    const chosen = name ? all.filter((check) => check.name === name) : all;
    if (name && chosen.length === 0) return send(res, 404, '404 page not found\n');
    const { code, body } = await healthAnswer(root, health.kept(root, chosen), url.searchParams);
    return send(res, code, body);
  }
  const socket = req.socket as TLSSocket;
  if (!socket.authorized) return send(res, 401, 'Unauthorized\n');
  const allowed = (await answers.authorize?.(clientOf(socket), url.pathname)) ?? true;
  if (!allowed) return send(res, 403, 'Forbidden\n');
  return protectedPage(res, url, answers);
}

async function protectedPage(
  res: ServerResponse,
  { pathname, searchParams }: URL,
  { metrics, pages, health }: Answers,
): Promise<void> {
  const texts = { '/metrics': metrics, '/metrics/slis': () => health.render() };
  if (pathname === '/metrics' || pathname === '/metrics/slis') {
    return send(res, 200, await texts[pathname](), 'text/plain; version=0.0.4; charset=utf-8');
  }
  const found =
    pages && Object.hasOwn(pages, pathname) ? pages[pathname]?.(searchParams) : undefined;
  if (found === undefined) return send(res, 404, '404 page not found\n');
  return send(res, 200, `${JSON.stringify(found)}\n`, 'application/json');
}

/** User and groups of a client certificate: common name and organizations. */
function clientOf(socket: TLSSocket): { name: string; groups: string[] } {
  const { CN = '', O = [] } = socket.getPeerCertificate().subject as {
    CN?: string;
    O?: string | string[];
  };
  return { name: CN, groups: [O].flat() };
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
