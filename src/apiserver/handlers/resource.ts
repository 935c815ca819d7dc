import { type ApiError, notFound } from '../../api/errors.ts';
import { methodNotAllowed, methodNotSupported, notServed } from '../answers.ts';
import type { Authorizer } from '../authz/authorizer.ts';
import type { Exchange } from '../exchange.ts';
import type { HandlerDeps, Target } from '../handler-deps.ts';
import type { KindRegistry } from '../kind-registry.ts';
import { negotiateObject } from '../negotiation.ts';
import type { ResourceKind } from '../resource-kind.ts';
import { type ConnectHandlers, connect } from './connect.ts';
import { create } from './create.ts';
import { remove } from './delete.ts';
import { deleteCollection } from './delete-collection.ts';
import { get } from './get.ts';
import { list } from './list.ts';
import { patch } from './patch.ts';
import { scale } from './scale.ts';
import { update } from './update.ts';
import { watch } from './watch.ts';

export interface ResourceDeps extends HandlerDeps {
  readonly kinds: KindRegistry;
  readonly connectors: ConnectHandlers;
  readonly authorizer: Authorizer;
  /** Handlers of kinds that store nothing, by `GROUP/RESOURCE`. */
  readonly virtuals: ConnectHandlers;
}

/** Finds the kind that a resource request is about and hands it to its verb's handler. */
export async function handleResource(deps: ResourceDeps, exchange: Exchange): Promise<void> {
  const { info } = exchange;
  const kind = deps.kinds.get(info.group, info.version, info.resource);
  if (!kind) throw notServed(info.path);
  if (info.namespace !== '' && !kind.namespaced && kind.resource !== 'namespaces') {
    throw notServed(info.path);
  }
  const target: Target = {
    kind,
    namespace: kind.namespaced ? info.namespace : '',
    name: info.name,
    subresource: info.subresource,
  };
  if (kind.virtual) return handleVirtual(deps, exchange, target);
  if (target.subresource !== '') return handleSubresource(deps, exchange, target);
  const handler = kind.verbs.includes(info.verb) ? VERBS[info.verb] : undefined;
  if (!handler) throw refusedVerb(kind, info.verb);
  return handler(deps, exchange, target);
}

function refusedVerb(kind: ResourceKind, verb: string): ApiError {
  return kind.custom ? methodNotSupported(kind, verb) : methodNotAllowed();
}

type VerbHandler = (deps: HandlerDeps, exchange: Exchange, target: Target) => Promise<void>;

const VERBS: Readonly<Record<string, VerbHandler>> = {
  get,
  list,
  watch,
  create: (deps, exchange, target) => {
    if (target.name !== '') throw methodNotAllowed();
    if (target.kind.namespaced && target.namespace === '') throw methodNotAllowed();
    return create(deps, exchange, target);
  },
  update: (deps, exchange, target) => {
    if (target.name === '') throw methodNotAllowed();
    return update(deps, exchange, { ...target, strategy: target.kind.strategy });
  },
  patch: (deps, exchange, target) => {
    if (target.name === '') throw methodNotAllowed();
    return patch(deps, exchange, { ...target, strategy: target.kind.strategy });
  },
  delete: remove,
  deletecollection: deleteCollection,
};

async function handleVirtual(
  deps: ResourceDeps,
  exchange: Exchange,
  target: Target,
): Promise<void> {
  const { group, resource, verbs } = target.kind;
  const handler = deps.virtuals[`${group}/${resource}`];
  if (!handler) throw notServed(exchange.info.path);
  if (!verbs.includes(exchange.info.verb)) throw methodNotAllowed();
  // What is asked has no rows or metadata to show.
  if (exchange.info.verb === 'create') negotiateObject(exchange.req.headers.accept);
  await handler(deps, exchange, target);
}

async function handleSubresource(
  deps: ResourceDeps,
  exchange: Exchange,
  target: Target,
): Promise<void> {
  const { kind, subresource } = target;
  const { verb } = exchange.info;
  const found = ownSubresource(kind, subresource);
  if (!found) throw kind.custom ? notFound(kind, target.name) : notServed(exchange.info.path);
  if (found.type === 'connect') return connect(deps, exchange, { ...target, declared: found });
  if (found.type === 'scale') return scale(deps, exchange, { ...target, declared: found });
  if (verb === 'get') return get(deps, exchange, target);
  if (!(found.verbs as readonly string[]).includes(verb)) throw refusedVerb(kind, verb);
  const strategy = { ...target, strategy: found.strategy };
  if (verb === 'update') return update(deps, exchange, strategy);
  if (verb === 'patch') return patch(deps, exchange, strategy);
  throw methodNotAllowed();
}

function ownSubresource(kind: ResourceKind, name: string) {
  return Object.hasOwn(kind.subresources, name) ? kind.subresources[name] : undefined;
}
