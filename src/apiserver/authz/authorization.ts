import type { Clock } from '../../util/clock.ts';
import type { Logger } from '../../util/log.ts';
import type { KindRegistry } from '../kind-registry.ts';
import type { RequestInfo } from '../request-info.ts';
import type { UserInfo } from '../resource-kind.ts';
import type { ResourceStore } from '../resource-store.ts';
import type { State } from '../state.ts';
import type { Authorizer, Decision } from './authorizer.ts';
import { bootstrapPolicy, optionalPolicy, reconcilePolicy } from './bootstrap-policy.ts';
import { nodeAuthorizer } from './node.ts';
import { NodeGraph } from './node-graph.ts';
import { alwaysAllowed, rbacAuthorizer } from './rbac.ts';
import type { RbacIndex } from './rbac-index.ts';
import { type AuthorizationWebhook, webhookAuthorizer } from './webhook.ts';

/** The values of --authorization-mode. */
export const AUTHORIZATION_MODES = ['Node', 'RBAC', 'AlwaysAllow', 'AlwaysDeny'] as const;
export type AuthorizationMode = (typeof AUTHORIZATION_MODES)[number];
export const DEFAULT_MODES: readonly AuthorizationMode[] = ['Node', 'RBAC'];

/** One authorizer in the order of --authorization-mode or of an AuthorizationConfiguration. */
export type AuthorizerChoice = AuthorizationMode | AuthorizationWebhook;

export interface AuthorizationDeps {
  readonly log: Logger;
  readonly state: State;
  readonly kinds: KindRegistry;
  readonly store: ResourceStore;
  readonly clock: Clock;
  readonly index: RbacIndex;
}

/** Asks the authorizers of the chosen modes in their order. Before `start` nobody but administrators gets in. */
export class Authorization implements Authorizer {
  readonly name = 'Union';
  readonly #modes: readonly AuthorizerChoice[];
  readonly #deps: AuthorizationDeps;
  /** Those that follow objects: made once, and used by every choice that names them. */
  readonly #lasting = new Map<AuthorizationMode, Authorizer>();
  #authorizers: readonly Authorizer[] = [alwaysAllowed];

  constructor(modes: readonly AuthorizerChoice[], deps: AuthorizationDeps) {
    this.#modes = modes;
    this.#deps = deps;
  }

  /** Puts the default roles and bindings in place and learns all others. */
  async start(): Promise<void> {
    const policy = [...bootstrapPolicy(), ...optionalPolicy(this.#deps.kinds)];
    if (this.#modes.includes('RBAC')) {
      await reconcilePolicy(policy, this.#deps);
      await this.#deps.index.start();
      this.#lasting.set('RBAC', rbacAuthorizer(this.#deps.index));
    }
    if (this.#modes.includes('Node')) {
      const rules = policy.find(({ metadata }) => metadata.name === 'system:node')?.rules ?? [];
      const graph = new NodeGraph();
      await graph.start(this.#deps);
      this.#lasting.set('Node', nodeAuthorizer({ graph, rules }));
    }
    this.use(this.#modes);
  }

  /** Asks these from now on. Throws, and those before go on, for one that makes no sense, or needs to be there from the start. */
  use(modes: readonly AuthorizerChoice[]): void {
    this.#authorizers = [alwaysAllowed, ...modes.map((mode) => this.#make(mode))];
  }

  async authorize(user: UserInfo, info: RequestInfo): Promise<Decision> {
    let reason: string | undefined;
    for (const authorizer of this.#authorizers) {
      const opinion = await authorizer.authorize(user, info);
      if (opinion.decision !== 'no-opinion') return opinion;
      reason = opinion.reason ?? reason;
    }
    return { decision: 'no-opinion', ...(reason === undefined ? {} : { reason }) };
  }

  #make(mode: AuthorizerChoice): Authorizer {
    if (typeof mode !== 'string') return webhookAuthorizer(mode, this.#deps);
    switch (mode) {
      case 'Node':
      case 'RBAC': {
        const known = this.#lasting.get(mode);
        if (known) return known;
        throw new Error(
          `authorizer type ${mode} is not allowed if it was not enabled at initial server startup`,
        );
      }
      case 'AlwaysAllow':
        return { name: mode, authorize: () => ({ decision: 'allow' }) };
      case 'AlwaysDeny':
        return {
          name: mode,
          authorize: () => ({ decision: 'no-opinion', reason: 'Everything is forbidden.' }),
        };
    }
  }
}
