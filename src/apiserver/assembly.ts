import { builtinSchema } from '../api/builtin-schema.ts';
import type { Schema } from '../api/schema.ts';
import { HealthMetrics } from '../http/health-metrics.ts';
import type { Storage } from '../storage/storage.ts';
import type { Clock } from '../util/clock.ts';
import type { Logger } from '../util/log.ts';
import { admissionPlugins } from './admission/plugins.ts';
import { Admission } from './admission.ts';
import { ApiServices, type ApiServicesDeps } from './aggregation/api-services.ts';
import { ClusterIps } from './allocators/cluster-ips.ts';
import { NodePorts } from './allocators/node-ports.ts';
import { ServiceAllocator } from './allocators/services.ts';
import { Auditor } from './auditor.ts';
import { authentication } from './authn/authentication.ts';
import type { ConfiguredAuthentication } from './authn/configured.ts';
import { authenticationReviews } from './authn/reviews.ts';
import type { Trust } from './authn/trust.ts';
import { Authorization, DEFAULT_MODES } from './authz/authorization.ts';
import { escalationCheck } from './authz/escalation.ts';
import { RbacIndex } from './authz/rbac-index.ts';
import { authorizationReviews } from './authz/reviews.ts';
import { addCacheMetrics } from './cache-metrics.ts';
import { CustomResources } from './custom-resources/custom-resources.ts';
import { CustomSchema } from './custom-resources/definitions.ts';
import { Discovery } from './discovery.ts';
import { EncryptedStorage } from './encrypted-storage.ts';
import type { Handler } from './exchange.ts';
import { FlowControl } from './flow-control/flow-control.ts';
import { FlowMetrics } from './flow-control/metrics.ts';
import { HandlerChain } from './handler-chain.ts';
import { aggregated } from './handlers/aggregated.ts';
import { type ConnectorDeps, connectors, virtualKinds } from './handlers/connectors.ts';
import { handleNonResource, type NonResourceDeps } from './handlers/non-resource.ts';
import { handleResource, type ResourceDeps } from './handlers/resource.ts';
import { KindRegistry } from './kind-registry.ts';
import { Kubelets } from './kubelets.ts';
import { meterStorage } from './metered-storage.ts';
import { ServerMetrics } from './metrics.ts';
import { OpenApi } from './openapi.ts';
import {
  type ApiServerOptions,
  DEFAULT_NODE_PORTS,
  DEFAULT_REQUESTS_IN_FLIGHT,
} from './options.ts';
import { ResourceStore } from './resource-store.ts';
import { builtinKinds } from './resources/registry.ts';
import { ServiceResolver } from './service-resolver.ts';
import { State } from './state.ts';
import { GIT_VERSION, versionInfo } from './version.ts';
import { WebhookClient } from './webhook-client.ts';
import type { WriteHooks } from './write-hooks.ts';

export interface ApiServerDeps {
  readonly storage: Storage;
  readonly clock: Clock;
  readonly log: Logger;
}

/** The parts of an API server, made and connected, not yet at work. */
export interface Assembly {
  readonly kinds: KindRegistry;
  readonly schema: Schema;
  readonly state: State;
  readonly store: ResourceStore;
  readonly custom: CustomResources;
  readonly apiServices: ApiServices;
  readonly flowControl: FlowControl;
  readonly nodePorts: NodePorts;
  readonly authorization: Authorization;
  readonly authentication: ConfiguredAuthentication;
  readonly chain: HandlerChain;
  readonly auditor: Auditor | undefined;
  /** Set when values are encrypted at rest. */
  readonly sealed: EncryptedStorage | undefined;
  readonly kubelets: Kubelets;
  readonly trust: Trust;
  readonly metrics: ServerMetrics;
  readonly shutdown: Shutdown;
}

/** Whether this server has been asked to end. */
export interface Shutdown {
  isLeaving: boolean;
}

export function assemble(options: ApiServerOptions, deps: ApiServerDeps): Assembly {
  const { clock, log } = deps;
  const builtin = builtinSchema();
  const schema = new CustomSchema(builtin);
  const kinds = new KindRegistry(builtinKinds(options.optionalApis));
  const { metrics, state, sealed } = measuredState(kinds, deps, options);
  const nodePorts = new NodePorts(options.nodePorts ?? DEFAULT_NODE_PORTS);
  const index = new RbacIndex({ state, kinds });
  const store: ResourceStore = new ResourceStore({
    state,
    admission: new Admission([
      ...admissionPlugins(
        {
          ...{ kinds, state, schema, store: () => store },
          ...{ authorizer: () => authorization, webhooks: () => webhooks },
        },
        options.admission,
      ),
      escalationCheck(index),
    ]),
    hooks: writeHooks({ kinds, state, nodePorts, store: () => store }),
  });
  const modes = options.authorizationModes ?? DEFAULT_MODES;
  const authorization: Authorization = new Authorization(modes, {
    ...{ state, kinds, store, clock, index, log },
  });
  const { resolver, webhooks, apiServices }: Outbound = outbound(options, {
    state,
    ...{ store, kinds, clock, log },
  });
  const custom = new CustomResources({
    ...{ state, store, kinds, builtin, schema, webhooks, clock, log },
  });
  const kubelets = new Kubelets(options.kubelet ?? {});
  const authn = authentication(options, { kinds, store, clock, log });
  const { authenticators, tokens } = authn;
  const handlerDeps: ConnectorDeps = {
    ...{ state, store, clock, log, schema, kinds, kubelets, resolver, metrics },
    tokens: tokens?.issuer,
  };
  const resources = {
    ...handlerDeps,
    connectors: connectors(handlerDeps),
    authorizer: authorization,
    virtuals: {
      ...virtualKinds(handlerDeps),
      ...authorizationReviews({ authorizer: authorization, index }),
      ...authenticationReviews(authn),
    },
  };
  const seats = options.maxRequestsInFlight ?? DEFAULT_REQUESTS_IN_FLIGHT;
  const flowMetrics = new FlowMetrics(metrics.registry);
  const flowControl = new FlowControl(seats, { state, kinds, clock, metrics: flowMetrics });
  const shutdown: Shutdown = { isLeaving: false };
  const parts = { options, deps, kinds, schema, metrics, apiServices, shutdown };
  const documents = nonResources(parts);
  const auditor = options.audit && new Auditor(options.audit, { clock, log });
  const chain = new HandlerChain({
    authenticators,
    authorizers: [authorization],
    handler: answerer(apiServices, resources, { ...documents, flowControl, tokens }),
    ...{ flowControl, metrics, auditor, log },
  });
  return {
    ...{ kinds, schema, state, store, custom, apiServices, flowControl },
    ...{ nodePorts, authorization, chain, auditor, kubelets, sealed },
    ...{ metrics, shutdown, trust: authn.trust, authentication: authn.configured },
  };
}

/** Who answers a request: an aggregated server, a verb's handler, or one that is about no object. */
function answerer(
  apiServices: ApiServices,
  resources: ResourceDeps,
  others: NonResourceDeps,
): Handler {
  return async (exchange) => {
    const remote = apiServices.remoteFor(exchange.info.path);
    if (remote) return aggregated(exchange, remote);
    return exchange.info.isResource
      ? handleResource(resources, exchange)
      : handleNonResource(others, exchange);
  };
}

interface Outbound {
  readonly resolver: ServiceResolver;
  readonly webhooks: WebhookClient;
  readonly apiServices: ApiServices;
}

/** Who else answers requests, and how they are reached. */
function outbound(
  { frontProxy = {} }: ApiServerOptions,
  deps: Omit<ApiServicesDeps, 'resolver' | 'credentials'>,
): Outbound {
  const resolver = new ServiceResolver(deps);
  const apiServices = new ApiServices({ ...deps, resolver, credentials: frontProxy });
  return { resolver, webhooks: new WebhookClient(resolver), apiServices };
}

function measuredState(
  kinds: KindRegistry,
  deps: ApiServerDeps,
  { encryption: rules, encryptionHash }: ApiServerOptions,
): { metrics: ServerMetrics; state: State; sealed: EncryptedStorage | undefined } {
  const metrics = new ServerMetrics(
    deps.clock,
    ({ group, version, resource }) => kinds.get(group, version, resource) !== undefined,
  );
  if (encryptionHash !== undefined) metrics.encryptionConfigured(encryptionHash);
  const metered = meterStorage(deps.storage, metrics.registry, deps.clock);
  const sealed = rules && new EncryptedStorage(metered, { rules, kinds });
  const storage = sealed ?? metered;
  const state = new State({ ...deps, storage, kinds });
  addCacheMetrics(metrics.registry, { storage, state });
  return { metrics, state, sealed };
}

function writeHooks(deps: {
  kinds: KindRegistry;
  state: State;
  nodePorts: NodePorts;
  store: () => ResourceStore;
}): WriteHooks {
  const { kinds, state, store, nodePorts } = deps;
  const addressKind = kinds.get('networking.k8s.io', 'v1', 'ipaddresses');
  const rangeKind = kinds.get('networking.k8s.io', 'v1', 'servicecidrs');
  if (!addressKind || !rangeKind) throw new Error('Kinds of addresses are not declared');
  const ips = new ClusterIps({ state, store, addressKind, rangeKind });
  return new Map([['/services', new ServiceAllocator({ ips, ports: nodePorts })]]);
}

function nonResources(parts: {
  options: ApiServerOptions;
  deps: ApiServerDeps;
  kinds: KindRegistry;
  schema: Schema;
  metrics: ServerMetrics;
  apiServices: ApiServices;
  shutdown: Shutdown;
}): Omit<NonResourceDeps, 'tokens' | 'flowControl'> {
  const { options, deps, kinds, schema, metrics, apiServices, shutdown } = parts;
  const ping = { name: 'ping', check: () => {} };
  // Named as upstream's, whatever the engine.
  const storage = {
    name: 'etcd',
    check: async () => {
      await deps.storage.status();
    },
  };
  // A member of etcd that has lost the others still tells its status, but answers no reads.
  const readable = {
    name: 'etcd-readiness',
    check: async () => {
      await deps.storage.get('/registry/health');
    },
  };
  const leaving = {
    name: 'shutdown',
    check: () => {
      if (shutdown.isLeaving) throw new Error('process is shutting down');
    },
  };
  return {
    checks: { livez: [ping, storage], readyz: [ping, storage, readable, leaving] },
    metrics,
    health: new HealthMetrics(),
    version: versionInfo(),
    clock: deps.clock,
    discovery: new Discovery({
      kinds: () => kinds.all(),
      remoteGroups: () => apiServices.groups(),
      serverAddress: options.advertise,
    }),
    openapi: new OpenApi({
      kinds: () => kinds.all(),
      remoteUrls: () => apiServices.openApiUrls(),
      remoteDocuments: () => apiServices.openApiDocuments(),
      ...{ schema, version: GIT_VERSION },
    }),
  };
}
