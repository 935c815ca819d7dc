import { ApiError } from '../../api/errors.ts';
import type { KubeObject } from '../../api/types.ts';
import { methodNotAllowed } from '../answers.ts';
import type { Authorizer } from '../authz/authorizer.ts';
import type { Exchange } from '../exchange.ts';
import { forbidden } from '../forbidden.ts';
import type { HandlerDeps, Target } from '../handler-deps.ts';
import type { ConnectSubresource } from '../resource-kind.ts';
import { admissionRequest } from '../resource-store.ts';
import { writeContext } from '../write-options.ts';
import { proxiedPath } from './proxied-path.ts';

/** A sub-resource with a handler of its own. */
export type ConnectHandler = (
  deps: HandlerDeps,
  exchange: Exchange,
  target: Target,
) => Promise<void>;

/** By `RESOURCE/SUBRESOURCE` or, for sub-resources that are the same for every kind, `SUBRESOURCE`. */
export type ConnectHandlers = Readonly<Record<string, ConnectHandler>>;

export async function connect(
  deps: HandlerDeps & { connectors: ConnectHandlers; authorizer: Authorizer },
  exchange: Exchange,
  target: Target & { declared: ConnectSubresource },
): Promise<void> {
  const { kind, subresource, declared } = target;
  // OPTIONS is no verb of the API, but what is proxied may know it.
  const isProxied = subresource === 'proxy' && exchange.info.verb === 'options';
  if (!declared.verbs.includes(exchange.info.verb) && !isProxied) throw methodNotAllowed();
  const handler =
    deps.connectors[`${kind.resource}/${subresource}`] ?? deps.connectors[subresource];
  if (!handler) {
    throw new ApiError('NotFound', `the server does not serve ${kind.resource}/${subresource}`);
  }
  if (STREAMS.has(subresource)) {
    await authorizeStream(deps.authorizer, exchange, target);
    await admitConnection(deps, exchange, { ...target, declared });
  }
  await handler(deps, exchange, target);
}

/**
 * Whoever may only read must not run commands: the right to `create` is asked for, whatever the method of the handshake
 * (a WebSocket's is GET), also for the doors of a kubelet behind nodes/proxy.
 */
async function authorizeStream(
  authorizer: Authorizer,
  { user, info, upgrade }: Exchange,
  { kind, subresource }: Target,
): Promise<void> {
  if (info.verb === 'create') return;
  const runs = subresource === 'proxy' ? kind.resource === 'nodes' && opensStream(info.path) : true;
  if (!runs && !(upgrade && kind.resource === 'nodes')) return;
  const asked = { ...info, verb: 'create' };
  const { decision, reason = '' } = await authorizer.authorize(user, asked);
  if (decision !== 'allow') throw forbidden(user, asked, reason);
}

/** Doors of the kubelet that lead into containers. */
const DOORS = new Set(['exec', 'attach', 'portForward', 'run', 'cri']);

/** Read as the kubelet reads what it gets. */
function opensStream(path: string): boolean {
  const url = new URL('https://kubelet');
  url.pathname = proxiedPath(path, '');
  const { pathname } = url;
  const [first = ''] = pathname.split('/').filter((part) => part !== '');
  return DOORS.has(first);
}

const STREAMS = new Set(['exec', 'attach', 'portforward', 'proxy']);
const LISTS = new Set(['command', 'ports']);

/** Connections are admitted too: the object is the options that the query names. */
async function admitConnection(
  { store, clock }: HandlerDeps,
  exchange: Exchange,
  { kind, namespace, name, subresource, declared }: Target & { declared: ConnectSubresource },
): Promise<void> {
  const { query } = exchange;
  const fields = [...new Set(query.keys())].map((key) => {
    const value = query.get(key) ?? '';
    if (LISTS.has(key)) return [key, query.getAll(key)];
    return [key, value === 'true' || value === 'false' ? value === 'true' : value];
  });
  const object = {
    ...Object.fromEntries(fields),
    ...{ apiVersion: 'v1', kind: declared.kind, metadata: {} },
  } as KubeObject;
  const context = writeContext(exchange, { dryRun: false }, clock.now());
  const key = { namespace, name };
  await store.admission.admit(
    admissionRequest(kind, 'CONNECT', { object, context, subresource, key }),
  );
}
