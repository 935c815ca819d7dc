import { type CelProgram, compileCel } from '../../cel/cel.ts';
import { toCel } from '../../cel/values.ts';
import type { Clock } from '../../util/clock.ts';
import { errorMessage } from '../../util/errors.ts';
import type { Logger } from '../../util/log.ts';
import type { RequestInfo } from '../request-info.ts';
import type { UserInfo } from '../resource-kind.ts';
import type { Authorizer, Decision } from './authorizer.ts';
import { fieldRequirements, labelRequirements, type SelectorRequirement } from './selectors.ts';

/** A webhook of AuthorizationConfiguration (apiserver.config.k8s.io). */
export interface AuthorizationWebhook {
  readonly name: string;
  /** POSTs a SubjectAccessReview and answers it with its status. */
  readonly ask: (review: object, signal: AbortSignal) => Promise<unknown>;
  /** Of the SubjectAccessReview. */
  readonly version: 'v1' | 'v1beta1';
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

async function ask(webhook: AuthorizationWebhook, spec: ReviewSpec): Promise<Decision> {
  const { groups, ...others } = spec;
  const review = {
    apiVersion: `authorization.k8s.io/${webhook.version}`,
    kind: 'SubjectAccessReview',
    metadata: {},
    // The old version says `group`.
    spec: webhook.version === 'v1' ? spec : { ...others, group: groups },
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

interface ReviewSpec {
  readonly user: string;
  readonly groups: readonly string[];
}

function reviewSpec(user: UserInfo, info: RequestInfo): ReviewSpec {
  const { name, uid, groups, extra } = user;
  const { verb, group, version, resource, subresource, namespace, path } = info;
  const attributes = { verb, group, version, resource, subresource, namespace, name: info.name };
  return {
    user: name,
    groups,
    ...(uid ? { uid } : {}),
    ...(extra ? { extra } : {}),
    ...(info.isResource
      ? {
          resourceAttributes: {
            ...attributes,
            ...selector('fieldSelector', fieldRequirements(info.fieldSelector)),
            ...selector('labelSelector', labelRequirements(info.labelSelector)),
          },
        }
      : { nonResourceAttributes: { path, verb } }),
  };
}

function selector(name: string, requirements: readonly SelectorRequirement[]): object {
  return requirements.length > 0 ? { [name]: { requirements } } : {};
}
