import type { Clock } from '../../util/clock.ts';
import { errorMessage } from '../../util/errors.ts';
import { isObject } from '../../util/json.ts';
import type { Logger } from '../../util/log.ts';
import type { UserInfo } from '../resource-kind.ts';
import type { Authenticator } from './authenticator.ts';
import { bearerToken } from './service-account.ts';
import { digest } from './static-tokens.ts';

/** --authentication-token-webhook-*: another server that knows tokens. */
export interface TokenWebhook {
  /** POSTs a TokenReview and answers it with its status. */
  readonly ask: (review: object, signal: AbortSignal) => Promise<unknown>;
  readonly version: 'v1' | 'v1beta1';
  /** How long its answers are remembered. */
  readonly cacheTtlMs: number;
}

/** What it is asked with. */
export interface TokenWebhookDeps {
  readonly clock: Clock;
  readonly log: Logger;
  /** Whom tokens for this server are for. None: whoever they are for. */
  readonly audiences: readonly string[];
}

interface Status {
  readonly authenticated?: boolean;
  readonly user?: {
    readonly username?: string;
    readonly uid?: string;
    readonly groups?: readonly string[];
    readonly extra?: Record<string, string[]>;
  };
  readonly audiences?: readonly string[];
  readonly error?: string;
}

// What upstream's client allows one question.
const TIMEOUT_MS = 30_000;
const MAX_CACHED = 8192;

/** Asks another server who holds a bearer token. Tokens that it does not know are nobody's; what it says is remembered. */
export function webhookTokenAuthenticator(
  webhook: TokenWebhook,
  { clock, log, audiences: own }: TokenWebhookDeps,
): Authenticator {
  const known = new Map<string, { user: UserInfo | undefined; until: number }>();
  return {
    name: 'token-webhook',
    async authenticate(req, audiences = own) {
      const token = bearerToken(req.headers.authorization);
      if (token === undefined) return undefined;
      // By digest: what lies in memory lets nobody in.
      const key = `${digest(token)} ${JSON.stringify(audiences)}`;
      const found = known.get(key);
      if (found && found.until > clock.now()) return found.user;
      try {
        const user = userOf(await review(webhook, token, audiences), { wanted: audiences, own });
        if (known.size >= MAX_CACHED) known.clear();
        known.set(key, { user, until: clock.now() + webhook.cacheTtlMs });
        return user;
      } catch (err) {
        log.warn({ err: errorMessage(err) }, 'Could not ask the webhook whose token it is');
        return undefined;
      }
    },
  };
}

async function review(
  { ask, version }: TokenWebhook,
  token: string,
  audiences: readonly string[],
): Promise<Status> {
  const question = {
    apiVersion: `authentication.k8s.io/${version}`,
    kind: 'TokenReview',
    metadata: {},
    spec: { token, ...(audiences.length > 0 ? { audiences } : {}) },
  };
  const answer = await ask(question, AbortSignal.timeout(TIMEOUT_MS));
  const status = isObject(answer) ? answer.status : undefined;
  if (!isObject(status)) throw new Error('the answer has no status');
  return status as Status;
}

/** Undefined: it is nobody's token, or not one for those who were asked about. */
function userOf(
  { authenticated, user, audiences = [] }: Status,
  { wanted, own }: { wanted: readonly string[]; own: readonly string[] },
): UserInfo | undefined {
  if (authenticated !== true || !user?.username) return undefined;
  // A server that knows nothing of audiences speaks of tokens for this one.
  const meant = audiences.length > 0 ? audiences : own;
  if (wanted.length > 0 && !wanted.some((one) => meant.includes(one))) return undefined;
  const { username: name, uid, groups = [], extra } = user;
  const isListed = groups.includes('system:authenticated');
  return {
    name,
    groups: isListed ? groups : [...groups, 'system:authenticated'],
    ...(uid ? { uid } : {}),
    ...(extra && Object.keys(extra).length > 0 ? { extra } : {}),
  };
}
