import type { ApiError } from '../../api/errors.ts';
import { type HealthCheck, healthAnswer } from '../../http/health.ts';
import type { HealthMetrics } from '../../http/health-metrics.ts';
import type { Clock } from '../../util/clock.ts';
import { methodNotAllowed, notServed } from '../answers.ts';
import type { Discovery } from '../discovery.ts';
import { type Exchange, send, writeHead } from '../exchange.ts';
import type { FlowControl } from '../flow-control/flow-control.ts';
import type { ServerMetrics } from '../metrics.ts';
import type { OpenApi } from '../openapi.ts';
import { rootPaths } from '../root-paths.ts';
import type { ServedDocument } from '../served-document.ts';
import type { TokenService } from '../service-account-tokens.ts';

export interface NonResourceDeps {
  readonly checks: { livez: readonly HealthCheck[]; readyz: readonly HealthCheck[] };
  readonly metrics: ServerMetrics;
  /** What the checks found whenever they were asked for. */
  readonly health: HealthMetrics;
  readonly version: object;
  readonly discovery: Discovery;
  readonly openapi: OpenApi;
  readonly clock: Clock;
  readonly flowControl: FlowControl;
  /** Absent: no service account tokens are known here. */
  readonly tokens: TokenService | undefined;
}

/** Requests that are about no object: health, version, metrics, discovery, OpenAPI. */
export async function handleNonResource(deps: NonResourceDeps, exchange: Exchange): Promise<void> {
  const { path, verb } = exchange.info;
  const [, first = '', ...rest] = path.split('/');
  if (verb !== 'get' && verb !== 'head') throw refusedMethod(path);
  switch (first) {
    case '':
      return root(deps, exchange);
    case 'livez':
    case 'readyz':
    case 'healthz':
      return healthPage(deps, exchange, { endpoint: first, name: rest.join('/') });
    case 'version':
      if (rest.length > 0) throw notServed(path);
      return text(exchange, `${JSON.stringify(deps.version, undefined, 2)}`, 'application/json');
    case 'metrics': {
      const page = rest.join('/');
      if (page !== '' && page !== 'slis') throw notServed(path);
      const body = await (page === 'slis' ? deps.health : deps.metrics.registry).render();
      return text(exchange, body, 'text/plain; version=0.0.4; charset=utf-8');
    }
    case 'debug':
      return debug(deps, exchange);
    case '.well-known':
    case 'openid':
      return openId(deps, exchange);
    default:
      return document(deps, exchange);
  }
}

/** What is served is served to readers only. */
function refusedMethod(path: string): ApiError {
  const isServed = /^\/(?:api|apis|version)\/?$/.test(path);
  return isServed ? methodNotAllowed() : notServed(path);
}

async function root({ checks, discovery, tokens }: NonResourceDeps, exchange: Exchange) {
  const groups = discovery.groups();
  const found = rootPaths({ groups, checks, signsTokens: tokens !== undefined });
  return text(exchange, JSON.stringify(found, undefined, 2), 'application/json');
}

async function healthPage(
  { checks, health }: NonResourceDeps,
  exchange: Exchange,
  { endpoint, name }: { endpoint: 'livez' | 'readyz' | 'healthz'; name: string },
): Promise<void> {
  const all = endpoint === 'livez' ? checks.livez : checks.readyz;
  const chosen = name === '' ? all : all.filter((check) => check.name === name);
  if (chosen.length === 0) throw notServed(exchange.info.path);
  const { code, body } = await healthAnswer(
    endpoint,
    health.kept(endpoint, chosen),
    exchange.query,
  );
  const type = 'text/plain; charset=utf-8';
  exchange.res.setHeader('X-Content-Type-Options', 'nosniff');
  send(exchange, code, Buffer.from(body), { 'Content-Type': type });
}

const FLOW_DUMPS = '/debug/api_priority_and_fairness/';

async function debug({ flowControl }: NonResourceDeps, exchange: Exchange): Promise<void> {
  const { path } = exchange.info;
  const isDump = path.startsWith(FLOW_DUMPS);
  const dump = isDump ? flowControl.dump(path.slice(FLOW_DUMPS.length)) : undefined;
  if (dump === undefined) throw notServed(path);
  return text(exchange, dump, 'text/plain; charset=utf-8');
}

/** What others need to verify service account tokens (OpenID Connect Discovery 1.0). */
async function openId({ tokens }: NonResourceDeps, exchange: Exchange): Promise<void> {
  const { path } = exchange.info;
  if (tokens && path === '/openid/v1/jwks') {
    return text(exchange, JSON.stringify(tokens.verifier.jwks()), 'application/jwk-set+json');
  }
  if (!tokens || path !== '/.well-known/openid-configuration') throw notServed(path);
  const keys = tokens.verifier.jwks().keys.map(({ alg }) => alg);
  const configuration = {
    issuer: tokens.issuerUrl,
    jwks_uri: new URL('/openid/v1/jwks', tokens.issuerUrl).href,
    response_types_supported: ['id_token'],
    subject_types_supported: ['public'],
    id_token_signing_alg_values_supported: [...new Set(keys)],
  };
  return text(exchange, JSON.stringify(configuration), 'application/json');
}

async function document(
  { discovery, openapi, clock }: NonResourceDeps,
  exchange: Exchange,
): Promise<void> {
  const { req, res, info, query } = exchange;
  const root = info.path.split('/')[1];
  if (root === 'api' || root === 'apis') {
    const found = discovery.handle(info.path, req.headers.accept);
    if (!found) throw notServed(info.path);
    sendDocument(exchange, found);
    return;
  }
  const answer =
    root === 'openapi' ? openapi.handle(info.path, query, req.headers.accept) : undefined;
  if (!answer) throw notServed(info.path);
  if (answer.type === 'redirect') {
    writeHead(exchange, 301, { Location: answer.location });
    res.end();
    return;
  }
  sendDocument(exchange, answer, answer.immutable ? keptForAYear(clock.now()) : {});
}

const YEAR_MS = 365 * 24 * 3600 * 1000;

function keptForAYear(now: number): Record<string, string> {
  return {
    'Cache-Control': 'public, immutable',
    Expires: new Date(now + YEAR_MS).toUTCString(),
  };
}

function sendDocument(
  exchange: Exchange,
  found: ServedDocument,
  headers: Record<string, string> = {},
): void {
  const { req, res } = exchange;
  res.setHeader('ETag', found.etag);
  res.setHeader('Vary', 'Accept');
  if (isKnown(req.headers['if-none-match'], found.etag)) {
    writeHead(exchange, 304, headers);
    res.end();
    return;
  }
  send(exchange, 200, found.bytes, { 'Content-Type': found.contentType, ...headers });
}

/** If-None-Match: a list of tags, which proxies may have made weak, or a star. */
function isKnown(header: string | undefined, etag: string): boolean {
  const tags = (header ?? '').split(',').map((tag) => tag.trim().replace(/^W\//, ''));
  return tags.includes(etag) || tags.includes('*');
}

async function text(exchange: Exchange, body: string, type: string): Promise<void> {
  send(exchange, 200, Buffer.from(body), { 'Content-Type': type });
}
