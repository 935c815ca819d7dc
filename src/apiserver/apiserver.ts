import { networkInterfaces } from 'node:os';
import { ApiError } from '../api/errors.ts';
import { type HttpListener, listen } from '../http/server.ts';
import { tendPolicyStatus } from './admission/policy-status.ts';
import { type ApiServerDeps, type Assembly, assemble } from './assembly.ts';
import { ensureAuthenticationConfig } from './authentication-config.ts';
import type { AuthenticationChoice } from './authn/configured.ts';
import type { AuthorizerChoice } from './authz/authorization.ts';
import { compactPeriodically } from './compactor.ts';
import type { EncryptionRule } from './encryption-rules.ts';
import { tendFlowConfiguration } from './flow-control/schema-status.ts';
import { KubernetesEndpoints } from './kubernetes-endpoints.ts';
import type { KubernetesServiceOptions } from './kubernetes-service.ts';
import type { ReloadedConfiguration, ReloadOutcome } from './metrics.ts';
import { type ApiServerOptions, DEFAULT_SERVICE_RANGES, type LiveIdentity } from './options.ts';
import { ensureSystemObjects } from './system-objects.ts';

const RACES = 20;
const RACE_MS = 100;

/** The front door: storage → state (watch caches) → store → handlers → chain → listener. */
export class ApiServer {
  readonly #options: ApiServerOptions;
  readonly #deps: ApiServerDeps;
  readonly #parts: Assembly;
  #listener: HttpListener | undefined;

  constructor(options: ApiServerOptions, deps: ApiServerDeps) {
    this.#options = options;
    this.#deps = deps;
    this.#parts = assemble(options, deps);
  }

  /** Where it listens; 0 before it does. */
  get port(): number {
    return this.#listener?.port ?? 0;
  }

  /** Values are sealed by these rules from now on; those that were sealed before must still be opened by them. */
  useEncryption(rules: readonly EncryptionRule[], hash?: string): void {
    this.#parts.sealed?.use(rules);
    if (hash !== undefined) this.#parts.metrics.encryptionConfigured(hash);
  }

  /** Tokens of these issuers are known from now on. Rejects, and all stays as it was, when one of them cannot be asked. */
  useAuthentication(choice: AuthenticationChoice, signal?: AbortSignal): Promise<void> {
    return this.#parts.authentication.replace(choice, signal);
  }

  /** Asks these from now on who may do what. Throws, and all stays as it was, for what makes no sense. */
  useAuthorization(modes: readonly AuthorizerChoice[]): void {
    this.#parts.authorization.use(modes);
  }

  /** Says in the metrics what came of a configuration that was read again, or first. */
  configurationRead(what: ReloadedConfiguration, outcome: ReloadOutcome): void {
    this.#parts.metrics.configurationRead(what, outcome);
  }

  /** New connections are made and served with this; clients are believed by its authorities from now on. */
  async useIdentity(identity: LiveIdentity): Promise<void> {
    const { kubelets, apiServices, trust } = this.#parts;
    const { clientAuthority, requestHeaderAuthority: proxyAuthority } = identity;
    const { certificate, key } = identity;
    const believed = authoritiesOf(clientAuthority, proxyAuthority);
    this.#listener?.useCertificate(certificate, key, believed);
    trust.use({ clientAuthority, proxyAuthority });
    kubelets.use(identity.kubelet ?? {});
    apiServices.useCredentials(identity.frontProxy ?? {});
    await this.#publishTrust(clientAuthority, proxyAuthority);
  }

  /** Tells aggregated servers whom to believe. */
  async #publishTrust(clientAuthority?: string, proxyAuthority?: string): Promise<void> {
    const { requestHeader } = this.#options;
    await ensureAuthenticationConfig(
      { ...this.#parts, clock: this.#deps.clock },
      {
        clientAuthority,
        requestHeader: requestHeader && {
          ...requestHeader,
          clientAuthority: proxyAuthority ?? requestHeader.clientAuthority,
        },
      },
    );
  }

  /** Works until aborted. Calls `ready` when it answers requests. */
  async run(signal: AbortSignal, ready: () => void = () => {}): Promise<void> {
    // What runs in the background ends with us, also when we fail.
    const ended = new AbortController();
    const leaving = AbortSignal.any([signal, ended.signal]);
    const cancel = this.#afterDelay(signal, () => ended.abort());
    try {
      await this.#run({ leaving, signal: ended.signal }, ready);
    } finally {
      cancel();
      ended.abort();
      this.#parts.kubelets.close();
      await this.#parts.auditor?.close();
    }
  }

  /** Not ready from the moment it is asked to end: who sends requests here learns it while they are still answered. */
  #afterDelay(signal: AbortSignal, end: () => void): () => void {
    const { shutdown } = this.#parts;
    const { shutdownDelayMs = 0 } = this.#options;
    let cancel = () => {};
    const leave = () => {
      shutdown.isLeaving = true;
      if (shutdownDelayMs === 0) return end();
      cancel = this.#deps.clock.after(shutdownDelayMs, end);
    };
    if (signal.aborted) leave();
    else signal.addEventListener('abort', leave, { once: true });
    return () => cancel();
  }

  /** `leaving` aborts when it is asked to end, `signal` when it does. */
  async #run(
    { leaving, signal }: { leaving: AbortSignal; signal: AbortSignal },
    ready: () => void,
  ): Promise<void> {
    const { state, custom, apiServices, kinds, store, schema, auditor } = this.#parts;
    const endpoints = new KubernetesEndpoints(
      { state, kinds, store, ...this.#deps },
      { ...this.#endpoint(), sharesStore: this.#options.sharesStore === true },
    );
    const started = Promise.withResolvers<void>();
    const running = state.run(signal, started.resolve);
    await Promise.race([started.promise, running]);
    await this.#amongOthers(() => this.#prepare());
    await this.#amongOthers(() => endpoints.ensure());
    await custom.start();
    await auditor?.open();
    this.#listener = await this.#listen();
    this.#deps.log.info({ port: this.port }, 'Serving');
    ready();
    try {
      await Promise.all([
        running,
        custom.run(signal),
        apiServices.run(signal),
        auditor?.run(signal),
        endpoints.run(leaving),
        this.#parts.flowControl.lend(signal),
        tendFlowConfiguration({ state, kinds, store, ...this.#deps }, signal),
        tendPolicyStatus({ state, kinds, store, schema, ...this.#deps }, signal),
        compactPeriodically(
          { ...this.#deps, onCompacted: (revision) => state.forget(revision) },
          signal,
          this.#options.compactionIntervalMs,
        ),
      ]);
    } finally {
      await this.#listener.close();
    }
  }

  /** Servers that start at the same moment make the same objects: whoever loses such a race looks again. */
  async #amongOthers(act: () => Promise<void>): Promise<void> {
    for (let left = this.#options.sharesStore ? RACES : 0; ; left--) {
      try {
        return await act();
      } catch (err) {
        if (left === 0 || !(err instanceof ApiError)) throw err;
        this.#deps.log.info({ err: err.message }, 'Another API server was faster');
        await this.#deps.clock.sleep(RACE_MS);
      }
    }
  }

  async #prepare(): Promise<void> {
    const { kinds, state, store, nodePorts, authorization, flowControl } = this.#parts;
    const services = kinds.get('', 'v1', 'services');
    if (services) nodePorts.follow(await state.cache(services));
    const deps = { kinds, store, clock: this.#deps.clock };
    await ensureSystemObjects(deps, this.#endpoint());
    const { listen: own, requestHeader } = this.#options;
    await this.#publishTrust(own.clientAuthority, requestHeader?.clientAuthority);
    await authorization.start();
    await flowControl.follow();
  }

  #listen(): Promise<HttpListener> {
    const { chain } = this.#parts;
    const { listen: options, requestHeader } = this.#options;
    const clientAuthority = authoritiesOf(options.clientAuthority, requestHeader?.clientAuthority);
    return listen(
      { ...options, clientAuthority },
      {
        request: (req, res) => void chain.handle(req, res),
        upgrade: (req, socket, head) => void chain.handleUpgrade({ req, socket, head }),
      },
    );
  }

  #endpoint(): KubernetesServiceOptions {
    const { advertise, serviceRanges = DEFAULT_SERVICE_RANGES } = this.#options;
    const { hostname, port } = new URL(`https://${advertise}`);
    const address = hostname.replace(/^\[|\]$/g, '');
    return {
      address: NOWHERE.test(address) ? machineAddress() : address,
      port: Number(port || 443),
      serviceRanges,
    };
  }
}

/** Connections of front proxies are believed too; what they may say is for the authenticators. */
function authoritiesOf(...all: (string | undefined)[]): string | undefined {
  const given = all.filter((pem) => pem !== undefined);
  return given.length === 0 ? undefined : given.join('\n');
}

// Unspecified and loopback addresses mean something else to everybody.
const NOWHERE = /^(0\.0\.0\.0|::|127\..*|::1|localhost)$/;

/** The first address of this machine that others can use. */
function machineAddress(): string | undefined {
  const all = Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? []);
  return all.find((a) => a.family === 'IPv4' && !a.internal)?.address;
}
