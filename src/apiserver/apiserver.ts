import { builtinSchema } from '../api/builtin-schema.ts';
import { type HttpListener, type ListenOptions, listen } from '../http/server.ts';
import type { Storage } from '../storage/storage.ts';
import type { Clock } from '../util/clock.ts';
import type { Logger } from '../util/log.ts';
import { Admission } from './admission.ts';
import { x509Authenticator } from './authn/x509.ts';
import { systemUsersAuthorizer } from './authz/system-users.ts';
import { CustomResources } from './custom-resources/custom-resources.ts';
import { CustomSchema } from './custom-resources/definitions.ts';
import { Discovery } from './discovery.ts';
import { HandlerChain } from './handler-chain.ts';
import { connectors, virtualKinds } from './handlers/connectors.ts';
import { handleNonResource } from './handlers/non-resource.ts';
import { handleResource, type ResourceDeps } from './handlers/resource.ts';
import { KindRegistry } from './kind-registry.ts';
import { type KubeletCredentials, Kubelets } from './kubelets.ts';
import { ServerMetrics } from './metrics.ts';
import { OpenApi } from './openapi.ts';
import { ResourceStore } from './resource-store.ts';
import { builtinKinds } from './resources/registry.ts';
import { State } from './state.ts';
import { ensureSystemObjects } from './system-objects.ts';
import { GIT_VERSION, versionInfo } from './version.ts';

export interface ApiServerDeps {
  readonly storage: Storage;
  readonly clock: Clock;
  readonly log: Logger;
}

export interface ApiServerOptions {
  readonly listen: ListenOptions;
  /** `ADDRESS:PORT` under which the cluster reaches this server. */
  readonly advertise: string;
  readonly kubelet?: KubeletCredentials | undefined;
}

/** The front door: storage → state (watch caches) → store → handlers → chain → listener. */
export class ApiServer {
  readonly #options: ApiServerOptions;
  readonly #deps: ApiServerDeps;
  #listener: HttpListener | undefined;

  constructor(options: ApiServerOptions, deps: ApiServerDeps) {
    this.#options = options;
    this.#deps = deps;
  }

  /** Where it listens; 0 before it does. */
  get port(): number {
    return this.#listener?.port ?? 0;
  }

  /** Works until aborted. Calls `ready` when it answers requests. */
  async run(signal: AbortSignal, ready: () => void = () => {}): Promise<void> {
    const { storage, clock, log } = this.#deps;
    const builtin = builtinSchema();
    const schema = new CustomSchema(builtin);
    const kinds = new KindRegistry(builtinKinds());
    const state = new State({ storage, kinds, log });
    const started = Promise.withResolvers<void>();
    const running = state.run(signal, started.resolve);
    await Promise.race([started.promise, running]);
    const store = new ResourceStore({ state, admission: new Admission([]) });
    const kubelets = new Kubelets(this.#options.kubelet ?? {});
    const handlerDeps = { state, store, clock, log, schema, kinds, kubelets };
    const resourceDeps: ResourceDeps = {
      ...handlerDeps,
      connectors: connectors(handlerDeps),
      virtuals: virtualKinds(handlerDeps),
    };
    const metrics = new ServerMetrics(clock);
    const nonResource = {
      checks: { livez: [PING], readyz: [PING, storageCheck(storage)] },
      metrics,
      version: versionInfo(),
      discovery: new Discovery({
        kinds: () => kinds.all(),
        serverAddress: this.#options.advertise,
      }),
      openapi: new OpenApi({ kinds: () => kinds.all(), schema, version: GIT_VERSION }),
    };
    const chain = new HandlerChain({
      authenticators: [x509Authenticator()],
      authorizers: [systemUsersAuthorizer],
      handler: (exchange) =>
        exchange.info.isResource
          ? handleResource(resourceDeps, exchange)
          : handleNonResource(nonResource, exchange),
      metrics,
      log,
    });
    await ensureSystemObjects({ kinds, store, clock });
    const custom = new CustomResources({ state, store, kinds, builtin, schema, clock, log });
    await custom.start();
    const serving = Promise.all([running, custom.run(signal)]);
    this.#listener = await listen(this.#options.listen, {
      request: (req, res) => void chain.handle(req, res),
      upgrade: (req, socket, head) => void chain.handleUpgrade({ req, socket, head }),
    });
    log.info({ port: this.port }, 'Serving');
    ready();
    try {
      await serving;
    } finally {
      await this.#listener.close();
    }
  }
}

const PING = { name: 'ping', check: () => {} };

/** Named as upstream's, whatever the engine. */
function storageCheck(storage: Storage) {
  return {
    name: 'etcd',
    check: async () => {
      await storage.status();
    },
  };
}
