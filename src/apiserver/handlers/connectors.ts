import { methodNotAllowed } from '../answers.ts';
import type { Exchange } from '../exchange.ts';
import type { HandlerDeps, Target } from '../handler-deps.ts';
import type { KindRegistry } from '../kind-registry.ts';
import type { Kubelets } from '../kubelets.ts';
import type { ResourceKind } from '../resource-kind.ts';
import type { TokenIssuer } from '../service-account-tokens.ts';
import type { ServiceResolver } from '../service-resolver.ts';
import { bindPod } from './binding.ts';
import { componentStatuses } from './component-statuses.ts';
import type { ConnectHandlers } from './connect.ts';
import { evictPod } from './eviction.ts';
import { finalizeNamespace } from './finalize.ts';
import { podLog } from './pod-log.ts';
import { podExec, podPortForward } from './pod-stream.ts';
import { proxy } from './proxy.ts';
import { requestToken } from './token.ts';

export interface ConnectorDeps extends HandlerDeps {
  readonly kinds: KindRegistry;
  readonly kubelets: Kubelets;
  readonly resolver: ServiceResolver;
  readonly tokens: TokenIssuer | undefined;
}

/** The sub-resources with handlers of their own, by `RESOURCE/SUBRESOURCE` or `SUBRESOURCE`. */
export function connectors(deps: ConnectorDeps): ConnectHandlers {
  const podKind = coreKind(deps.kinds, 'pods');
  const nodeKind = coreKind(deps.kinds, 'nodes');
  const budgetKind = deps.kinds.get('policy', 'v1', 'poddisruptionbudgets');
  const withNodes = { ...deps, nodeKind };
  return {
    'pods/binding': (_, exchange, target) => bindPod({ ...deps, podKind }, exchange, target),
    ...(budgetKind
      ? {
          'pods/eviction': (_: unknown, exchange: Exchange, target: Target) =>
            evictPod({ ...deps, budgetKind }, exchange, target),
        }
      : {}),
    'pods/log': (_, exchange, target) => podLog(withNodes, exchange, target),
    'pods/exec': (_, exchange, target) => podExec(withNodes, exchange, target),
    'pods/attach': (_, exchange, target) => podExec(withNodes, exchange, target),
    'pods/portforward': (_, exchange, target) => podPortForward(withNodes, exchange, target),
    'serviceaccounts/token': (_, exchange, target) => requestToken(deps, exchange, target),
    'namespaces/finalize': finalizeNamespace,
    proxy: (_, exchange, target) => proxy(deps, exchange, target),
  };
}

/** Kinds that store nothing, by `GROUP/RESOURCE`: each answers its verbs itself. */
export function virtualKinds(deps: ConnectorDeps): ConnectHandlers {
  const podKind = coreKind(deps.kinds, 'pods');
  return {
    '/componentstatuses': componentStatuses,
    '/bindings': async (_, exchange, target) => {
      if (exchange.info.verb !== 'create') throw methodNotAllowed();
      await bindPod({ ...deps, podKind }, exchange, target);
    },
  };
}

function coreKind(kinds: KindRegistry, resource: string): ResourceKind {
  const kind = kinds.get('', 'v1', resource);
  if (!kind) throw new Error(`The kind ${resource} is not declared`);
  return kind;
}
