import { type CelProgram, compileCel } from '../../cel/cel.ts';
import { toCel } from '../../cel/values.ts';
import type { Clock } from '../../util/clock.ts';
import { errorMessage } from '../../util/errors.ts';
import type { Logger } from '../../util/log.ts';
import type { RequestInfo } from '../request-info.ts';
import type { UserInfo } from '../resource-kind.ts';
import type { Authorizer, Decision } from './authorizer.ts';

/** A webhook of AuthorizationConfiguration (apiserver.config.k8s.io). */
export interface AuthorizationWebhook {
  readonly name: string;
  /** POSTs a SubjectAccessReview and answers it with its status. */
  readonly ask: (review: object, signal: AbortSignal) => Promise<unknown>;
  readonly timeoutMs: number;
  readonly authorizedTtlMs: number;
  readonly unauthorizedTtlMs: number;
  /** What counts when there is no answer. */
  readonly failurePolicy: 'Deny' | 'NoOpinion';
  /** CEL on `request`, the spec of the review: asked only when all hold. */
  readonly matchConditions: readonly string[];
}

const MAX_CACHED = 8192;

/** Asks another server. Its answers are remembered; who is not matched by its conditions is not asked about. */
export function webhookAuthorizer(
  webhook: AuthorizationWebhook,
  { clock, log }: { clock: Clock; log: Logger },
): Authorizer {
  const conditions = webhook.matchConditions.map((one) => compileCel(one, ['request']));
  const known = new Map<string, { decision: Decision; until: number }>();
  const failed: Decision =
    webhook.failurePolicy === 'Deny' ? { decision: 'deny' } : { decision: 'no-opinion' };
  return {
    name: webhook.name,
    async authorize(user, info) {
      const spec = reviewSpec(user, info);
      const matches = await holds(conditions, spec);
      if (matches === undefined) return failed;
      if (!matches) return { decision: 'no-opinion' };
      const key = JSON.stringify(spec);
      const found = known.get(key);
      if (found && found.until > clock.now()) return found.decision;
      try {
        const decision = await ask(webhook, spec);
        const isAllowed = decision.decision === 'allow';
        const ttl = isAllowed ? webhook.authorizedTtlMs : webhook.unauthorizedTtlMs;
        if (known.size >= MAX_CACHED) known.clear();
        known.set(key, { decision, until: clock.now() + ttl });
        return decision;
      } catch (err) {
        log.warn({ authorizer: webhook.name, err: errorMessage(err) }, 'Could not ask a webhook');
        return failed;
      }
    },
  };
}

/** Undefined: one cannot be evaluated, and none is false. */
async function holds(
  conditions: readonly CelProgram[],
  spec: object,
): Promise<boolean | undefined> {
  let failed = false;
  const values = { request: toCel(spec) };
  for (const condition of conditions) {
    try {
      if ((await condition(values)) !== true) return false;
    } catch {
      failed = true;
    }
  }
  return failed ? undefined : true;
}

async function ask(webhook: AuthorizationWebhook, spec: object): Promise<Decision> {
  const review = {
    apiVersion: 'authorization.k8s.io/v1',
    kind: 'SubjectAccessReview',
    metadata: {},
    spec,
  };
  const answer = await webhook.ask(review, AbortSignal.timeout(webhook.timeoutMs));
  const { status = {} } = (answer ?? {}) as {
    status?: { allowed?: boolean; denied?: boolean; reason?: string };
  };
  const { allowed, denied, reason } = status;
  if (allowed && denied) throw new Error('the answer allows and denies at once');
  return {
    decision: allowed ? 'allow' : denied ? 'deny' : 'no-opinion',
    ...(reason ? { reason } : {}),
  };
}

function reviewSpec(user: UserInfo, info: RequestInfo): object {
  const { name, uid, groups, extra } = user;
  const { verb, group, version, resource, subresource, namespace, path } = info;
  return {
    user: name,
    groups,
    ...(uid ? { uid } : {}),
    ...(extra ? { extra } : {}),
    ...(info.isResource
      ? {
          resourceAttributes: {
            ...{ verb, group, version, resource, subresource, namespace, name: info.name },
            ...(info.fieldSelector ? { fieldSelector: info.fieldSelector } : {}),
            ...(info.labelSelector ? { labelSelector: info.labelSelector } : {}),
          },
        }
      : { nonResourceAttributes: { path, verb } }),
  };
}
