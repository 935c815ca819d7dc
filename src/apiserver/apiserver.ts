import { networkInterfaces } from 'node:os';
import { type HttpListener, listen } from '../http/server.ts';
import { tendPolicyStatus } from './admission/policy-status.ts';
import { type ApiServerDeps, type Assembly, assemble } from './assembly.ts';
import { ensureAuthenticationConfig } from './authentication-config.ts';
import { compactPeriodically } from './compactor.ts';
import type { EncryptionRule } from './encryption-rules.ts';
import { tendFlowConfiguration } from './flow-control/schema-status.ts';
import { KubernetesEndpoints } from './kubernetes-endpoints.ts';
import type { KubernetesServiceOptions } from './kubernetes-service.ts';
import { type ApiServerOptions, DEFAULT_SERVICE_RANGES } from './options.ts';
import { ensureSystemObjects } from './system-objects.ts';

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
  useEncryption(rules: readonly EncryptionRule[]): void {
    this.#parts.sealed?.use(rules);
  }

  /** New connections are served with this, and clients believed by these authorities. */
  useCertificate(certificate: string, key: string, clientAuthority?: string): void {
    this.#listener?.useCertificate(certificate, key, this.#believed(clientAuthority));
  }

  /** Connections of front proxies are believed too; what they may say is for the authenticators. */
  #believed(clientAuthority: string | undefined): string | undefined {
    const { requestHeader } = this.#options;
    if (!requestHeader) return clientAuthority;
    return [clientAuthority ?? '', requestHeader.clientAuthority].join('\n');
  }

  /** Works until aborted. Calls `ready` when it answers requests. */
  async run(signal: AbortSignal, ready: () => void = () => {}): Promise<void> {
    // What runs in the background ends with us, also when we fail.
    const failed = new AbortController();
    const ends = AbortSignal.any([signal, failed.signal]);
    try {
      await this.#run(ends, ready);
    } finally {
      failed.abort();
      this.#parts.kubelets.close();
      await this.#parts.auditor?.close();
    }
  }

  async #run(signal: AbortSignal, ready: () => void): Promise<void> {
    const { state, custom, apiServices, kinds, store, schema, auditor } = this.#parts;
    const endpoints = new KubernetesEndpoints(
      { state, kinds, store, ...this.#deps },
      { ...this.#endpoint(), sharesStore: this.#options.sharesStore === true },
    );
    const started = Promise.withResolvers<void>();
    const running = state.run(signal, started.resolve);
    await Promise.race([started.promise, running]);
    await this.#prepare();
    await endpoints.ensure();
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
        endpoints.run(signal),
        tendFlowConfiguration({ state, kinds, store, ...this.#deps }, signal),
        tendPolicyStatus({ state, kinds, store, schema, ...this.#deps }, signal),
        compactPeriodically(this.#deps, signal, this.#options.compactionIntervalMs),
      ]);
    } finally {
      await this.#listener.close();
    }
  }

  async #prepare(): Promise<void> {
    const { kinds, state, store, nodePorts, authorization, flowControl } = this.#parts;
    const services = kinds.get('', 'v1', 'services');
    if (services) nodePorts.follow(await state.cache(services));
    const deps = { kinds, store, clock: this.#deps.clock };
    await ensureSystemObjects(deps, this.#endpoint());
    await ensureAuthenticationConfig(deps, this.#options);
    await authorization.start();
    await flowControl.follow();
  }

  #listen(): Promise<HttpListener> {
    const { chain } = this.#parts;
    const { listen: options } = this.#options;
    const clientAuthority = this.#believed(options.clientAuthority);
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

// Unspecified and loopback addresses mean something else to everybody.
const NOWHERE = /^(0\.0\.0\.0|::|127\..*|::1|localhost)$/;

/** The first address of this machine that others can use. */
function machineAddress(): string | undefined {
  const all = Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? []);
  return all.find((a) => a.family === 'IPv4' && !a.internal)?.address;
}
