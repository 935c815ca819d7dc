import { ApiError, badRequest } from '../../api/errors.ts';
import type { Node, Pod, Service } from '../../api/types.ts';
import { proxyUpgrade } from '../../http/upgrade-proxy.ts';
import { joinHostPort } from '../../util/ip.ts';
import type { Exchange } from '../exchange.ts';
import type { HandlerDeps, Target } from '../handler-deps.ts';
import { forward, type ProxyTarget } from '../http-proxy.ts';
import type { Kubelets } from '../kubelets.ts';
import { proxyable } from '../proxyable.ts';
import { passOnRewritten } from '../rewritten-answer.ts';
import type { ServiceResolver } from '../service-resolver.ts';
import { proxiedPath, proxyPathEnd } from './proxied-path.ts';

export type ProxyDeps = HandlerDeps & { kubelets: Kubelets; resolver: ServiceResolver };

/** `[SCHEME:]NAME[:PORT]`, the form in which proxied names are given. */
interface Address {
  readonly scheme: string;
  readonly name: string;
  readonly port: string;
}

/** …/proxy of Pods, Services and nodes: any method, any path behind it, upgrades too. */
export async function proxy(deps: ProxyDeps, exchange: Exchange, target: Target): Promise<void> {
  const address = parseAddress(target.name);
  const found = await locate(deps, target, address);
  const { info, upgrade } = exchange;
  const base = info.path.slice(0, proxyPathEnd(info.path, target.namespace));
  const url = new URL(found.url);
  url.pathname = proxiedPath(info.path, target.namespace);
  const query = exchange.req.url?.split('?')[1];
  if (query !== undefined) url.search = query;
  const method = exchange.req.method ?? 'GET';
  if (info.path === base && (method === 'GET' || method === 'HEAD') && !upgrade) {
    // Relative links only work below a directory.
    exchange.res.writeHead(301, { Location: `${base}/${query ? `?${query}` : ''}` });
    exchange.res.end();
    return;
  }
  if (upgrade) {
    await proxyUpgrade(upgrade, { url, ...(found.tls ? { tls: found.tls } : {}) });
    return;
  }
  const headers = { 'x-forwarded-uri': base + url.pathname };
  const answer = await forward(exchange, { ...found, url, headers });
  await passOnRewritten(exchange, answer, { asked: url, host: hostOf(exchange), base });
}

function hostOf({ req }: Exchange): string {
  return String(req.headers[':authority'] ?? req.headers.host ?? '');
}

function parseAddress(text: string): Address {
  const parts = text.split(':');
  if (parts.length === 1) return { scheme: '', name: text, port: '' };
  if (parts.length === 2) return { scheme: '', name: parts[0] ?? '', port: parts[1] ?? '' };
  const [scheme = '', name = '', port = ''] = parts;
  if (parts.length > 3 || (scheme !== 'http' && scheme !== 'https' && scheme !== '')) {
    throw badRequest(`invalid ${JSON.stringify(text)}: expected [SCHEME:]NAME[:PORT]`);
  }
  return { scheme, name, port };
}

async function locate(
  deps: ProxyDeps,
  target: Target,
  address: Address,
): Promise<ProxyTarget & { tls?: object }> {
  const key = { namespace: target.namespace, name: address.name };
  const { object } = await deps.store.read(target.kind, key);
  switch (target.kind.resource) {
    case 'nodes':
      return nodeTarget(deps, object as unknown as Node, address);
    case 'pods':
      return insecure(await proxyable(podUrl(object as unknown as Pod, address)));
    default:
      return insecure(await serviceUrl(deps, object as unknown as Service, address));
  }
}

/** What runs in the cluster is not expected to have a certificate that we know. */
function insecure(url: URL): ProxyTarget & { tls: object } {
  return { url, tls: { rejectUnauthorized: false } };
}

async function nodeTarget(
  { kubelets }: ProxyDeps,
  node: Node,
  { port }: Address,
): Promise<ProxyTarget & { tls?: object }> {
  const url = await proxyable(kubelets.urlOf(node, '/'));
  if (port === '' || port === url.port) return { url, tls: kubelets.tls, agent: kubelets.agent };
  url.protocol = 'http:';
  url.port = port;
  return insecure(url);
}

function podUrl(pod: Pod, { scheme, port }: Address): URL {
  const ip = pod.status?.podIPs?.[0]?.ip ?? pod.status?.podIP;
  if (!ip) throw new ApiError('ServiceUnavailable', 'address not allowed: the pod has no address');
  const declared = pod.spec?.containers.flatMap((c) => c.ports ?? [])[0]?.containerPort;
  const number = port === '' ? (declared ?? 80) : numericPort(pod, port);
  return new URL(`${scheme || 'http'}://${joinHostPort(ip, number)}/`);
}

function numericPort(pod: Pod, port: string): number {
  if (/^\d+$/.test(port)) return Number(port);
  const named = pod.spec?.containers.flatMap((c) => c.ports ?? []).find((p) => p.name === port);
  if (!named) throw badRequest(`invalid port ${JSON.stringify(port)}`);
  return named.containerPort;
}

async function serviceUrl(
  { resolver }: ProxyDeps,
  service: Service,
  { scheme, port }: Address,
): Promise<URL> {
  return new URL(`${scheme || 'http'}://${await resolver.resolveIn(service, port)}/`);
}
