import { type CallAnswer, CallTimeout, call } from '../http/call.ts';
import { parseJson } from '../util/exact-json.ts';
import { joinHostPort } from '../util/ip.ts';
import type { ServiceResolver } from './service-resolver.ts';

/** Where a webhook is: `clientConfig` of webhook configurations and of conversions. */
export interface WebhookClientConfig {
  readonly url?: string | undefined;
  readonly service?:
    | {
        readonly namespace?: string | undefined;
        readonly name?: string | undefined;
        readonly path?: string | undefined;
        readonly port?: number | undefined;
      }
    | undefined;
  /** PEM in base64: whom to believe. Absent: the machine's authorities. */
  readonly caBundle?: string | undefined;
}

/** Asks webhooks: one POST of JSON each, over HTTPS, by Service or URL. */
export class WebhookClient {
  readonly #resolver: ServiceResolver;

  constructor(resolver: ServiceResolver) {
    this.#resolver = resolver;
  }

  /** Answers the webhook's JSON. Rejects when it cannot be reached in time or answers anything but 200 and JSON. */
  async ask(config: WebhookClientConfig, request: unknown, timeoutMs: number): Promise<unknown> {
    // Read by webhooks that want to answer in time, and by whoever reads an error.
    const url = namedUrl(config);
    url.searchParams.set('timeout', `${timeoutMs / 1000}s`);
    const answer = await this.#post(config, { url, request, timeoutMs }).catch((err: unknown) => {
      // An URL does not show the port that its scheme implies; upstream does.
      const shown = config.service ? url.href.replace(url.host, hostOf(config.service)) : url.href;
      throw new Error(`Post ${JSON.stringify(shown)}`, { cause: inGoWords(err) });
    });
    if (answer.status !== 200) {
      throw new Error(
        `the server responded with status ${answer.status}: ${shortText(answer.body)}`,
      );
    }
    try {
      return parseJson(answer.body.toString());
    } catch (err) {
      throw new Error(`the answer is not JSON: ${shortText(answer.body)}`, { cause: err });
    }
  }

  async #post(
    { service, caBundle }: WebhookClientConfig,
    { url, request, timeoutMs }: { url: URL; request: unknown; timeoutMs: number },
  ): Promise<CallAnswer> {
    const ca = caBundle ? Buffer.from(caBundle, 'base64').toString() : undefined;
    const at = new URL(url);
    if (service) {
      const { namespace = '', name = '', port = 443 } = service;
      at.host = await this.#resolver.resolve({ namespace, name }, String(port));
    }
    return call({
      ...{ url: at, method: 'POST', timeoutMs },
      headers: { 'content-type': 'application/json', accept: 'application/json' },
      body: Buffer.from(JSON.stringify(request)),
      tls: { ...(ca ? { ca } : {}), ...(service ? { servername: url.hostname } : {}) },
    });
  }
}

/** Where the webhook is, by the name that its certificate holds. */
function namedUrl({ url, service }: WebhookClientConfig): URL {
  if (url) return new URL(url);
  const path = (service?.path ?? '').replace(/^\//, '');
  return new URL(`https://${hostOf(service ?? {})}/${path}`);
}

function hostOf({
  namespace,
  name,
  port = 443,
}: NonNullable<WebhookClientConfig['service']>): string {
  return `${name}.${namespace}.svc:${port}`;
}

function inGoWords(err: unknown): unknown {
  if (err instanceof CallTimeout) return new Error('context deadline exceeded');
  const { code, address, port } = err as { code?: string; address?: string; port?: number };
  if (code !== 'ECONNREFUSED' || address === undefined) return err;
  return new Error(`dial tcp ${joinHostPort(address, port ?? 0)}: connect: connection refused`);
}

function shortText(body: Buffer): string {
  return body.subarray(0, 200).toString().trim();
}
