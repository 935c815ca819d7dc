import type { Clock } from '../../util/clock.ts';
import { errorMessage } from '../../util/errors.ts';
import type { Logger } from '../../util/log.ts';
import type { Authenticator } from './authenticator.ts';
import { type JwtAuthenticator, type JwtOptions, jwtAuthenticator } from './jwt.ts';
import { type AnonymousOptions, anonymousGate } from './static-tokens.ts';

/** What an AuthenticationConfiguration says. */
export interface AuthenticationChoice {
  readonly jwt?: readonly JwtOptions[] | undefined;
  readonly anonymous?: AnonymousOptions | undefined;
}

interface Deps {
  readonly clock: Clock;
  readonly log: Logger;
}

// Upstream's: how long issuers of a new configuration may be out of reach before it counts as bad.
const PATIENCE_MS = 60_000;
const RETRY_MS = 10_000;

/** The part of authentication that may be replaced while the server runs: issuers of tokens, and who needs no name. */
export class ConfiguredAuthentication {
  readonly #deps: Deps;
  #issuers: readonly JwtAuthenticator[];
  #gate: Authenticator | undefined;

  /** Throws for expressions that make no sense. */
  constructor(choice: AuthenticationChoice, deps: Deps) {
    this.#deps = deps;
    this.#issuers = this.#issuersOf(choice);
    this.#gate = choice.anonymous && anonymousGate(choice.anonymous);
  }

  /** Knows the tokens of all issuers. */
  readonly bearer: Authenticator = {
    name: 'jwt',
    authenticate: async (req) => {
      for (const issuer of this.#issuers) {
        const user = await issuer.authenticate(req);
        if (user) return user;
      }
      return undefined;
    },
  };

  /** Stands behind all others. */
  readonly gate: Authenticator = {
    name: 'anonymous',
    authenticate: (req) => this.#gate?.authenticate(req),
  };

  /** Another configuration counts from now on. Rejects, and the one before goes on, when one of its issuers cannot be asked. */
  async replace(choice: AuthenticationChoice, signal?: AbortSignal): Promise<void> {
    const issuers = this.#issuersOf(choice);
    const until = this.#deps.clock.now() + PATIENCE_MS;
    await Promise.all(issuers.map((issuer) => this.#reachable(issuer, until, signal)));
    this.#issuers = issuers;
    this.#gate = choice.anonymous && anonymousGate(choice.anonymous);
  }

  #issuersOf({ jwt = [] }: AuthenticationChoice): JwtAuthenticator[] {
    return jwt.map((one) => jwtAuthenticator(one, this.#deps));
  }

  async #reachable(issuer: JwtAuthenticator, until: number, signal?: AbortSignal): Promise<void> {
    const { clock, log } = this.#deps;
    for (;;) {
      try {
        return await issuer.learnKeys();
      } catch (err) {
        if (clock.now() + RETRY_MS > until) throw err;
        log.warn({ issuer: issuer.url, err: errorMessage(err) }, 'A new issuer gives no keys yet');
        await clock.sleep(RETRY_MS, signal);
      }
    }
  }
}
