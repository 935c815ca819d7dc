import type { IncomingMessage, ServerResponse } from 'node:http';
import { ApiError, isNotFound } from '../api/errors.ts';
import { PODS } from '../api/resource-types.ts';
import type { ConfigMap, Node, Pod } from '../api/types.ts';
import type { Client, Informer } from '../client/client.ts';
import { writeError } from '../http/errors.ts';
import { healthAnswer } from '../http/health.ts';
import { listen } from '../http/server.ts';
import type { Clock } from '../util/clock.ts';
import { aborted } from '../util/lifecycle.ts';
import type { Logger } from '../util/log.ts';
import { authorize, callerOf, type Trust, trustOf } from './callers.ts';
import { answerMetrics, discoveryDocument, type Wanted, wantedOf } from './metrics-api.ts';
import { type KubeletAddress, Scraper, type ScraperOptions } from './scraper.ts';
import { UsageStore } from './usage-store.ts';

export interface MetricsServerDeps {
  readonly client: Client;
  readonly nodes: Informer<Node>;
  /** What the API server says of its front proxy: `TRUST_KEY` alone. */
  readonly trust: Informer<ConfigMap>;
  fetch(address: KubeletAddress, signal: AbortSignal): Promise<string>;
  readonly clock: Clock;
  readonly log: Logger;
}

export interface MetricsServerOptions extends ScraperOptions {
  readonly host: string;
  readonly port: number;
  /** PEM. */
  readonly certificate: string;
  readonly key: string;
}

export const TRUST_KEY = { namespace: 'kube-system', name: 'extension-apiserver-authentication' };
const HEALTH = new Set(['healthz', 'livez', 'readyz']);

/**
 * The resource metrics API (metrics.k8s.io): kubelets → the last two readings of everything → figures for
 * `kubectl top` and autoscalers, behind the API server's aggregation.
 */
export class MetricsServer {
  readonly #deps: MetricsServerDeps;
  readonly #options: MetricsServerOptions;
  readonly #store = new UsageStore();
  #trust: Trust = { proxyAuthority: undefined, proxyNames: [], clientAuthority: undefined };

  constructor(deps: MetricsServerDeps, options: MetricsServerOptions) {
    this.#deps = deps;
    this.#options = options;
  }

  /** Works until aborted. */
  async run(signal: AbortSignal): Promise<void> {
    const { nodes, trust } = this.#deps;
    const scraper = new Scraper({ ...this.#deps, store: this.#store }, this.#options);
    const loops = [nodes, trust].map((informer) => informer.run(signal));
    loops.push(scraper.run(signal));
    await Promise.all([...loops, this.#serve(signal)]);
  }

  async #serve(signal: AbortSignal): Promise<void> {
    const { log, trust } = this.#deps;
    await trust.whenSynced(signal);
    this.#readTrust();
    const { host, port, certificate, key } = this.#options;
    const listener = await listen(
      // Certificates are asked for also while nobody is believed: that may change.
      { host, port, certificate, key, clientAuthority: this.#authorities() },
      {
        request: (req, res) => {
          this.#answer(req, res).catch((err: unknown) => writeError(res, err));
        },
      },
    );
    const follow = (): void => {
      this.#readTrust();
      listener.useCertificate(certificate, key, this.#authorities());
    };
    trust.addHandler({ onAdd: follow, onUpdate: follow });
    log.info({ port: listener.port }, 'Serving the resource metrics API');
    await aborted(signal);
    await listener.close();
  }

  #readTrust(): void {
    const { trust, log } = this.#deps;
    const found = trust.get(TRUST_KEY);
    if (found) this.#trust = trustOf(found.data ?? {});
    else log.warn({}, 'The API server names no front proxy: only tokens are believed');
  }

  /** PEM of everybody whose certificates are believed. */
  #authorities(): string {
    const { proxyAuthority, clientAuthority } = this.#trust;
    return [proxyAuthority, clientAuthority].filter((pem) => pem !== undefined).join('\n');
  }

  async #answer(req: IncomingMessage, res: ServerResponse): Promise<void> {
    const { client, clock, nodes } = this.#deps;
    const url = new URL(req.url ?? '/', 'https://localhost');
    const root = url.pathname.split('/')[1] ?? '';
    if (HEALTH.has(root)) return this.#health(root, url, res);
    if (req.method !== 'GET') {
      throw new ApiError('MethodNotAllowed', `${req.method} is not supported`);
    }
    const caller = await callerOf(req, this.#trust, client);
    const document = discoveryDocument(url.pathname);
    if (document) return json(res, document);
    const wanted = wantedOf(url.pathname);
    if (!wanted) throw new ApiError('NotFound', 'the server could not find the requested resource');
    await authorize(caller, wanted, client);
    const subjects =
      wanted.resource === 'nodes' ? nodes.list() : await this.#podsOf(wanted, url.searchParams);
    const store = this.#store;
    json(res, answerMetrics(wanted, url.searchParams, { subjects, store, now: clock.now() }));
  }

  /** Asked for when somebody asks us: who follows every Pod is woken all the time, for questions that come now and then. */
  async #podsOf({ namespace, name }: Wanted, query: URLSearchParams): Promise<Pod[]> {
    const { client } = this.#deps;
    if (name !== '') return client.get(PODS, { namespace, name }).then((pod) => [pod], noneIfGone);
    const labelSelector = query.get('labelSelector') ?? '';
    const selection = { namespace, labelSelector, metadataOnly: true, resourceVersion: '0' };
    return (await client.list(PODS, selection)).items;
  }

  async #health(endpoint: string, { searchParams }: URL, res: ServerResponse): Promise<void> {
    const check = (): void => {
      if (endpoint === 'readyz' && !this.#store.filled) throw new Error('no metrics to serve');
    };
    const checks = [{ name: 'metric-storage-ready', check }];
    const { code, body } = await healthAnswer(endpoint, checks, searchParams);
    res.writeHead(code, { 'Content-Type': 'text/plain; charset=utf-8' });
    res.end(body);
  }
}

function noneIfGone(err: unknown): [] {
  if (isNotFound(err)) return [];
  throw err;
}

function json(res: ServerResponse, value: object): void {
  res.writeHead(200, { 'Content-Type': 'application/json' });
  res.end(`${JSON.stringify(value)}\n`);
}
