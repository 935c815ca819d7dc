import { call } from '../http/call.ts';
import { parseJson } from '../util/exact-json.ts';
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
    const { url, servername } = await this.#locate(config);
    // Read by webhooks that want to answer in time, and by whoever reads an error.
    url.searchParams.set('timeout', `${timeoutMs / 1000}s`);
    const ca = config.caBundle ? Buffer.from(config.caBundle, 'base64').toString() : undefined;
    const answer = await call({
      ...{ url, method: 'POST', timeoutMs },
      headers: { 'content-type': 'application/json', accept: 'application/json' },
      body: Buffer.from(JSON.stringify(request)),
      tls: { ...(ca ? { ca } : {}), ...(servername ? { servername } : {}) },
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

  async #locate({ url, service }: WebhookClientConfig): Promise<{ url: URL; servername?: string }> {
    if (url) return { url: new URL(url) };
    const { namespace = '', name = '', path = '', port = 443 } = service ?? {};
    const host = await this.#resolver.resolve({ namespace, name }, String(port));
    return {
      url: new URL(`https://${host}/${path.replace(/^\//, '')}`),
      servername: `${name}.${namespace}.svc`,
    };
  }
}

function shortText(body: Buffer): string {
  return body.subarray(0, 200).toString().trim();
}
