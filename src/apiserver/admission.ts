import type { KubeObject } from '../api/types.ts';
import type { ResourceKind, UserInfo } from './resource-kind.ts';

/** A write as admission plug-ins see it (admission.k8s.io AdmissionRequest). */
export interface AdmissionRequest {
  readonly operation: 'CREATE' | 'UPDATE' | 'DELETE' | 'CONNECT';
  readonly kind: ResourceKind;
  readonly subresource: string;
  readonly namespace: string;
  readonly name: string;
  /** What is to be written; undefined for DELETE. Mutating plug-ins change it in place. */
  readonly object: KubeObject | undefined;
  /** What is stored; undefined for CREATE. */
  readonly old: KubeObject | undefined;
  readonly user: UserInfo;
  readonly dryRun: boolean;
  /** Milliseconds since the epoch. */
  readonly now: number;
  /** What the client asked for besides (CreateOptions, UpdateOptions, DeleteOptions); webhooks are shown it. */
  readonly options?: Readonly<Record<string, unknown>> | undefined;
  /** Adds a line to the answer's Warning header. */
  warn(message: string): void;
  /** Adds to the audit event of the request. */
  annotate(key: string, value: string): void;
}

/** One pass through the plug-ins that mutate. What one of them changed may concern those before it: then there is a second. */
export interface MutationRound {
  readonly isSecond: boolean;
  /** Set by a plug-in whose change the others shall see. */
  again: boolean;
  /** The object (as JSON) after each webhook and policy that was asked, by its id. */
  readonly outcomes: Map<string, string>;
}

/** One rule about writes. Refuses by throwing an `ApiError`. */
export interface AdmissionPlugin {
  readonly name: string;
  /** May change `request.object`. Runs before validation. */
  mutate?(request: AdmissionRequest, round: MutationRound): Promise<void> | void;
  /** Sees the final object. */
  validate?(request: AdmissionRequest): Promise<void> | void;
}

type Mutating = AdmissionPlugin & Required<Pick<AdmissionPlugin, 'mutate'>>;
type Validating = AdmissionPlugin & Required<Pick<AdmissionPlugin, 'validate'>>;

/** The plug-ins in their order: all that mutate, later all that validate. */
export class Admission {
  readonly #mutating: readonly Mutating[];
  readonly #validating: readonly Validating[];

  constructor(plugins: readonly AdmissionPlugin[]) {
    this.#mutating = plugins.filter((plugin): plugin is Mutating => !!plugin.mutate);
    this.#validating = plugins.filter((plugin): plugin is Validating => !!plugin.validate);
  }

  async mutate(request: AdmissionRequest): Promise<void> {
    const first: MutationRound = { isSecond: false, again: false, outcomes: new Map() };
    await this.#round(request, first);
    if (!first.again) return;
    await this.#round(request, { isSecond: true, again: false, outcomes: first.outcomes });
  }

  // Most plug-ins have nothing to say about most requests, at once: who awaits them all waits a turn for each.
  async #round(request: AdmissionRequest, round: MutationRound): Promise<void> {
    for (const plugin of this.#mutating) {
      const pending = plugin.mutate(request, round);
      if (pending) await pending;
    }
  }

  async validate(request: AdmissionRequest): Promise<void> {
    for (const plugin of this.#validating) {
      const pending = plugin.validate(request);
      if (pending) await pending;
    }
  }

  /** Both, for a request that writes no object of its own: connections, tokens, evictions. */
  async admit(request: AdmissionRequest): Promise<void> {
    await this.mutate(request);
    await this.validate(request);
  }
}
