import { createHash } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type { TLSSocket } from 'node:tls';
import { SUBJECT_ACCESS_REVIEWS, TOKEN_REVIEWS } from '../../api/system-resource-types.ts';
import type { Client } from '../../client/client.ts';
import type { Clock } from '../../util/clock.ts';
import { parseDuration } from '../../util/duration.ts';
import { errorMessage } from '../../util/errors.ts';
import type { KubeletConfiguration } from '../config.ts';
import { HttpError } from './http-error.ts';
import { requestAttributes } from './request-attributes.ts';

export interface KubeletUser {
  readonly name: string;
  readonly uid?: string | undefined;
  readonly groups: readonly string[];
  readonly extra?: Record<string, string[]> | undefined;
}

export interface DoorDeps {
  readonly client: Pick<Client, 'create'>;
  readonly clock: Clock;
  readonly nodeName: string;
}

const ANONYMOUS: KubeletUser = { name: 'system:anonymous', groups: ['system:unauthenticated'] };
const MAX_CACHED = 1000;

/**
 * Who may come in on 10250. A client certificate or a token says who it is; the API server says what they may do
 * (authorization mode Webhook), and its answers are remembered for a while.
 */
export class KubeletDoor {
  readonly #deps: DoorDeps;
  readonly #config: KubeletConfiguration;
  readonly #users: AnswerCache<KubeletUser | undefined>;
  readonly #decisions: AnswerCache<{ allowed: boolean; reason: string }>;

  constructor(deps: DoorDeps, config: KubeletConfiguration) {
    this.#deps = deps;
    this.#config = config;
    this.#users = new AnswerCache(deps.clock);
    this.#decisions = new AnswerCache(deps.clock);
  }

  /** Returns when the request may go on; throws HttpError 401, 403 or 500. */
  async admit(req: IncomingMessage): Promise<void> {
    const user = await this.#authenticate(req);
    if (this.#config.authorization.mode === 'AlwaysAllow') return;
    const path = new URL(req.url ?? '/', 'https://kubelet').pathname;
    const { verb, subresources } = requestAttributes(req.method ?? 'GET', path);
    let reason = '';
    for (const subresource of subresources) {
      const decision = await this.#authorize(user, verb, subresource);
      if (decision.allowed) return;
      reason = decision.reason;
    }
    const what = `user=${user.name}, verb=${verb}, resource=nodes, subresource=[${subresources.join(' ')}]`;
    throw new HttpError(403, `Forbidden (${what})${reason === '' ? '' : `: ${reason}`}`);
  }

  async #authenticate(req: IncomingMessage): Promise<KubeletUser> {
    const { anonymous, webhook } = this.#config.authentication;
    const byCertificate = certificateUser(req.socket as TLSSocket);
    if (byCertificate) return byCertificate;
    const token = /^bearer +(\S+)$/i.exec(req.headers.authorization ?? '')?.[1];
    if (token !== undefined && webhook.enabled) {
      const user = await this.#review(token);
      if (user) return user;
      throw new HttpError(401, 'Unauthorized');
    }
    if (token !== undefined || !anonymous.enabled) throw new HttpError(401, 'Unauthorized');
    return ANONYMOUS;
  }

  #review(token: string): Promise<KubeletUser | undefined> {
    const key = createHash('sha256').update(token).digest('base64');
    const ttl = parseDuration(this.#config.authentication.webhook.cacheTTL);
    return this.#users.get(key, async () => {
      const { status } = await this.#ask(() =>
        this.#deps.client.create(TOKEN_REVIEWS, {
          apiVersion: 'authentication.k8s.io/v1',
          kind: 'TokenReview',
          metadata: {},
          spec: { token },
        }),
      );
      const { authenticated, user } = status ?? {};
      if (!authenticated || !user?.username) return { value: undefined, ttl };
      const { username: name, uid, groups = [], extra } = user;
      return { value: { name, uid, groups, extra }, ttl };
    });
  }

  #authorize(user: KubeletUser, verb: string, subresource: string) {
    const { cacheAuthorizedTTL, cacheUnauthorizedTTL } = this.#config.authorization.webhook;
    const key = JSON.stringify([user.name, user.uid, user.groups, user.extra, verb, subresource]);
    return this.#decisions.get(key, async () => {
      const { name, uid, groups, extra } = user;
      const { status } = await this.#ask(() =>
        this.#deps.client.create(SUBJECT_ACCESS_REVIEWS, {
          apiVersion: 'authorization.k8s.io/v1',
          kind: 'SubjectAccessReview',
          metadata: {},
          spec: {
            ...{ user: name, uid, groups: [...groups], extra },
            resourceAttributes: {
              ...{ group: '', version: 'v1', resource: 'nodes', name: this.#deps.nodeName },
              ...{ verb, subresource },
            },
          },
        }),
      );
      const allowed = status?.allowed === true;
      const ttl = parseDuration(allowed ? cacheAuthorizedTTL : cacheUnauthorizedTTL);
      return { value: { allowed, reason: status?.reason ?? '' }, ttl };
    });
  }

  /** Who cannot be asked about does not get in. */
  async #ask<T>(question: () => Promise<T>): Promise<T> {
    try {
      return await question();
    } catch (err) {
      throw new HttpError(500, `Authorization error: ${errorMessage(err)}`);
    }
  }
}

function certificateUser(socket: TLSSocket): KubeletUser | undefined {
  if (!socket.authorized) return undefined;
  const subject = socket.getPeerCertificate().subject as
    | { CN?: string | string[]; O?: string | string[] }
    | undefined;
  const name = [subject?.CN ?? []].flat()[0];
  if (!name) return undefined;
  return { name, groups: [...[subject?.O ?? []].flat(), 'system:authenticated'] };
}

/** Answers that are good for a while; one question at a time for each key, and a bounded number of them. */
class AnswerCache<T> {
  readonly #clock: Clock;
  readonly #known = new Map<string, { value: T; until: number }>();
  readonly #asking = new Map<string, Promise<T>>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  async get(key: string, ask: () => Promise<{ value: T; ttl: number }>): Promise<T> {
    const known = this.#known.get(key);
    if (known && known.until > this.#clock.now()) return known.value;
    const under = this.#asking.get(key) ?? this.#ask(key, ask);
    return under;
  }

  #ask(key: string, ask: () => Promise<{ value: T; ttl: number }>): Promise<T> {
    const asking = ask()
      .then(({ value, ttl }) => {
        if (this.#known.size >= MAX_CACHED) this.#known.clear();
        this.#known.set(key, { value, until: this.#clock.now() + ttl });
        return value;
      })
      .finally(() => this.#asking.delete(key));
    this.#asking.set(key, asking);
    return asking;
  }
}
