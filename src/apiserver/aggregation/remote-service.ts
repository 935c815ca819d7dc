import { Agent } from 'node:https';
import type { SecureContextOptions } from 'node:tls';
import type { APIService } from '../../api/types.ts';
import { type CallAnswer, call } from '../../http/call.ts';
import { isObject, type JsonObject } from '../../util/json.ts';
import type { DiscoveredResource, DiscoveredVersion } from '../discovery-groups.ts';
import type { RemoteDocument } from '../openapi.ts';
import type { ServiceResolver } from '../service-resolver.ts';
import { type FrontProxyCredentials, remoteUserHeaders } from './front-proxy.ts';

type Spec = NonNullable<APIService['spec']>;

type RemoteTls = SecureContextOptions & { servername: string; rejectUnauthorized: boolean };

const CHECK_TIMEOUT_MS = 5000;
const AGGREGATOR = { name: 'system:kube-aggregator', groups: ['system:masters'] };

/** An API server that answers for a group and version beside this one, as an APIService declares it. */
export class RemoteService {
  readonly name: string;
  readonly spec: Spec;
  /** What it serves, as last heard. */
  discovered: DiscoveredVersion;
  /** Where its OpenAPI v3 document is, with its hash. */
  openApiUrl: string | undefined;
  /** Its OpenAPI v2 document as last heard, with its tag. The same object until it changes. */
  openApi: { readonly etag: string | undefined; readonly document: RemoteDocument } | undefined;
  /** Whether it answered when it was last looked at. */
  isAvailable: boolean;
  readonly #resolver: ServiceResolver;
  #tls: RemoteTls;
  #agent: Agent;

  constructor(
    { metadata, spec, status }: APIService & { spec: Spec },
    deps: { resolver: ServiceResolver; credentials: FrontProxyCredentials },
  ) {
    this.name = metadata.name;
    this.spec = spec;
    this.#resolver = deps.resolver;
    this.#tls = tlsOf(spec, deps.credentials);
    this.#agent = new Agent({ keepAlive: true, ...this.#tls });
    this.isAvailable =
      status?.conditions?.find(({ type }) => type === 'Available')?.status === 'True';
    const version = spec.version ?? '';
    this.discovered = { version, resources: [], freshness: 'Stale' };
  }

  get tls(): RemoteTls {
    return this.#tls;
  }

  get agent(): Agent {
    return this.#agent;
  }

  /** New connections are made with these; those under way go on. */
  useCredentials(credentials: FrontProxyCredentials): void {
    this.#tls = tlsOf(this.spec, credentials);
    this.#agent = new Agent({ keepAlive: true, ...this.#tls });
  }

  get path(): string {
    return `/apis/${this.spec.group}/${this.spec.version}`;
  }

  /** `https://HOST:PORT` of one of its endpoints. */
  async origin(): Promise<string> {
    const { namespace = '', name = '', port = 443 } = this.spec.service ?? {};
    return `https://${await this.#resolver.resolve({ namespace, name }, String(port))}`;
  }

  /** Asks what it serves. Throws when it does not answer. */
  async discover(): Promise<void> {
    const { status, body } = await this.#get(this.path);
    if (status < 200 || status > 299) throw new Error(`bad status ${status}`);
    const version = this.spec.version ?? '';
    const resources = discoveredResources(JSON.parse(body.toString()), {
      group: this.spec.group ?? '',
      version,
    });
    this.discovered = { version, resources, freshness: 'Current' };
    [this.openApiUrl, this.openApi] = await Promise.all([this.#findOpenApi(), this.#readOpenApi()]);
  }

  /** Not every server has OpenAPI v3. */
  async #findOpenApi(): Promise<string | undefined> {
    try {
      const { status, body } = await this.#get('/openapi/v3');
      if (status !== 200) return undefined;
      const { paths } = JSON.parse(body.toString());
      const url = paths?.[this.path.slice(1)]?.serverRelativeURL;
      return typeof url === 'string' && url.startsWith('/openapi/v3/') ? url : undefined;
    } catch {
      return undefined;
    }
  }

  /** What it said before, unless it says something else now; a server that has no document says nothing. */
  async #readOpenApi(): Promise<RemoteService['openApi']> {
    const known = this.openApi;
    try {
      const answer = await this.#get('/openapi/v2', known?.etag);
      const { status, headers, body } = answer;
      if (status === 304) return known;
      if (status !== 200) return undefined;
      if (known?.document.bytes.equals(body)) return known;
      const { etag } = headers;
      return { etag, document: { prefix: `${this.path}/`, bytes: body } };
    } catch {
      return known;
    }
  }

  async #get(path: string, etag?: string): Promise<CallAnswer> {
    return call({
      url: new URL(path, await this.origin()),
      method: 'GET',
      headers: {
        accept: 'application/json',
        ...(etag === undefined ? {} : { 'if-none-match': etag }),
        ...remoteUserHeaders(AGGREGATOR),
      },
      tls: this.#tls,
      timeoutMs: CHECK_TIMEOUT_MS,
    });
  }
}

function tlsOf(
  { service, caBundle, insecureSkipTLSVerify }: Spec,
  { certificate, key }: FrontProxyCredentials,
): RemoteTls {
  return {
    servername: `${service?.name}.${service?.namespace}.svc`,
    rejectUnauthorized: insecureSkipTLSVerify !== true,
    ...(caBundle ? { ca: Buffer.from(caBundle, 'base64').toString() } : {}),
    ...(certificate && key ? { cert: certificate, key } : {}),
  };
}

/** An APIResourceList as the aggregated discovery tells it. */
function discoveredResources(
  list: unknown,
  home: { group: string; version: string },
): DiscoveredResource[] {
  const all =
    isObject(list) && Array.isArray(list.resources) ? list.resources.filter(isObject) : [];
  const nameOf = (resource: JsonObject) => String(resource.name ?? '');
  const placeOf = (resource: JsonObject) => ({
    group: typeof resource.group === 'string' ? resource.group : home.group,
    version: typeof resource.version === 'string' ? resource.version : home.version,
    kind: String(resource.kind ?? ''),
  });
  return all
    .filter((resource) => !nameOf(resource).includes('/'))
    .map((resource) => {
      const prefix = `${nameOf(resource)}/`;
      const subresources = all
        .filter((other) => nameOf(other).startsWith(prefix))
        .map((other) => ({
          subresource: nameOf(other).slice(prefix.length),
          responseKind: placeOf(other),
          verbs: texts(other.verbs),
        }));
      return {
        resource: nameOf(resource),
        responseKind: placeOf(resource),
        scope: resource.namespaced === true ? 'Namespaced' : 'Cluster',
        singularResource: String(resource.singularName ?? ''),
        verbs: texts(resource.verbs),
        shortNames: optional(texts(resource.shortNames)),
        categories: optional(texts(resource.categories)),
        subresources: subresources.length > 0 ? subresources : undefined,
      } satisfies DiscoveredResource;
    });
}

function texts(value: unknown): string[] {
  return Array.isArray(value) ? value.filter((item) => typeof item === 'string') : [];
}

function optional(list: readonly string[]): readonly string[] | undefined {
  return list.length > 0 ? list : undefined;
}
