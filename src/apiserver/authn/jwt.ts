import { ApiError } from '../../api/errors.ts';
import { type CelProgram, compileCel } from '../../cel/cel.ts';
import { toCel } from '../../cel/values.ts';
import { OidcVerifier } from '../../pki/oidc.ts';
import type { Clock } from '../../util/clock.ts';
import { errorMessage } from '../../util/errors.ts';
import { own } from '../../util/json.ts';
import type { Logger } from '../../util/log.ts';
import type { UserInfo } from '../resource-kind.ts';
import type { Authenticator } from './authenticator.ts';
import { bearerToken } from './service-account.ts';

interface Mapping {
  readonly claim?: string;
  readonly prefix?: string;
  readonly expression?: string;
}

/** A JWTAuthenticator of AuthenticationConfiguration (apiserver.config.k8s.io). */
export interface JwtOptions {
  readonly issuer: {
    readonly url: string;
    readonly discoveryURL?: string;
    readonly certificateAuthority?: string;
    readonly audiences: readonly string[];
    readonly audienceMatchPolicy?: string;
  };
  readonly claimValidationRules?: readonly {
    readonly claim?: string;
    readonly requiredValue?: string;
    readonly expression?: string;
    readonly message?: string;
  }[];
  readonly claimMappings: {
    readonly username: Mapping;
    readonly groups?: Mapping;
    readonly uid?: Mapping;
    readonly extra?: readonly { readonly key: string; readonly valueExpression: string }[];
  };
  readonly userValidationRules?: readonly {
    readonly expression: string;
    readonly message?: string;
  }[];
}

type Claims = Readonly<Record<string, unknown>>;

export interface JwtAuthenticator extends Authenticator {
  /** Of the issuer. */
  readonly url: string;
  /** Asks the issuer for its keys before the first token comes. Rejects when it cannot be asked. */
  learnKeys(): Promise<void>;
}

/** Tokens of an OpenID Connect issuer, as its claims are mapped. Expressions are compiled now: throws CelCompileError. */
export function jwtAuthenticator(
  options: JwtOptions,
  { clock, log }: { clock: Clock; log: Logger },
): JwtAuthenticator {
  const { url, discoveryURL, certificateAuthority, audiences } = options.issuer;
  const verifier = new OidcVerifier({
    ...{ url, audiences, certificateAuthority },
    discoveryUrl: discoveryURL,
  });
  const judge = new ClaimJudge(options);
  return {
    name: 'jwt',
    url,
    learnKeys: () => verifier.learnKeys(clock.now()),
    async authenticate(req) {
      const token = bearerToken(req.headers.authorization);
      if (token === undefined || !verifier.isOurs(token)) return undefined;
      try {
        const claims = await verifier.verify(token, clock.now());
        const user = claims && (await judge.userOf(claims));
        if (user) return user;
      } catch (err) {
        log.warn({ issuer: url, err: errorMessage(err) }, 'Could not verify a token');
      }
      throw new ApiError('Unauthorized', 'Unauthorized');
    },
  };
}

class ClaimJudge {
  readonly #options: JwtOptions;
  readonly #programs = new Map<string, CelProgram>();

  constructor(options: JwtOptions) {
    this.#options = options;
    const { claimMappings: maps, claimValidationRules = [], userValidationRules = [] } = options;
    const ofClaims = [
      ...claimValidationRules.map(({ expression }) => expression),
      ...[maps.username, maps.groups, maps.uid].map((mapping) => mapping?.expression),
      ...(maps.extra ?? []).map(({ valueExpression }) => valueExpression),
    ];
    for (const expression of ofClaims) if (expression) this.#compile(expression, 'claims');
    for (const { expression } of userValidationRules) this.#compile(expression, 'user');
  }

  /** Undefined: a rule refuses the claims. Throws when an expression cannot be evaluated. */
  async userOf(claims: Claims): Promise<UserInfo | undefined> {
    for (const rule of this.#options.claimValidationRules ?? []) {
      const holds = rule.expression
        ? (await this.#claim(rule.expression, claims)) === true
        : textOf(claims, rule.claim) === (rule.requiredValue ?? '');
      if (!holds) return undefined;
    }
    const { username, groups, uid, extra = [] } = this.#options.claimMappings;
    const [name] = await this.#mapped(username, claims);
    // An address that its issuer has not verified is nobody's name.
    if (!name || (username.claim === 'email' && claims.email_verified === false)) return undefined;
    const [id] = uid ? await this.#mapped(uid, claims) : [];
    const more = await Promise.all(
      extra.map(async ({ key, valueExpression }) => [
        key,
        listOf(await this.#claim(valueExpression, claims)),
      ]),
    );
    const user: UserInfo = {
      name,
      groups: [...(groups ? await this.#mapped(groups, claims) : []), 'system:authenticated'],
      ...(id ? { uid: id } : {}),
      ...(more.length > 0 ? { extra: Object.fromEntries(more) } : {}),
    };
    return (await this.#isValid(user)) ? user : undefined;
  }

  async #isValid(user: UserInfo): Promise<boolean> {
    const { name: username, groups, uid = '', extra = {} } = user;
    for (const { expression } of this.#options.userValidationRules ?? []) {
      const values = { user: toCel({ username, groups, uid, extra }) };
      if ((await this.#programs.get(`user ${expression}`)?.(values)) !== true) return false;
    }
    return true;
  }

  async #mapped({ claim, prefix = '', expression }: Mapping, claims: Claims): Promise<string[]> {
    const value = expression ? await this.#claim(expression, claims) : valueAt(claims, claim);
    return listOf(value).map((text) => prefix + text);
  }

  async #claim(expression: string, claims: Claims): Promise<unknown> {
    return this.#programs.get(`claims ${expression}`)?.({ claims: toCel(claims) });
  }

  #compile(expression: string, variable: 'claims' | 'user'): void {
    this.#programs.set(`${variable} ${expression}`, compileCel(expression, [variable]));
  }
}

function valueAt(claims: Claims, claim: string | undefined): unknown {
  return claim === undefined ? undefined : own(claims as Record<string, unknown>, claim);
}

function textOf(claims: Claims, claim: string | undefined): string {
  const value = valueAt(claims, claim);
  return typeof value === 'string' ? value : '';
}

function listOf(value: unknown): string[] {
  const list = Array.isArray(value) ? value : [value];
  return list.filter((item) => typeof item === 'string' && item !== '') as string[];
}
