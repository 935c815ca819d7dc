import { badRequest } from '../../api/errors.ts';
import { invalidObject } from '../../api/field-errors.ts';
import type { KubeObject } from '../../api/types.ts';
import { readObject } from '../decode-body.ts';
import type { Exchange } from '../exchange.ts';
import type { Target } from '../handler-deps.ts';
import type { ConnectHandler, ConnectHandlers } from '../handlers/connect.ts';
import { sendJson } from '../reading.ts';
import type { RequestInfo } from '../request-info.ts';
import type { UserInfo } from '../resource-kind.ts';
import type { Authorizer, Decision } from './authorizer.ts';
import type { PolicyRule } from './policy-rule.ts';
import type { RbacIndex } from './rbac-index.ts';
import { type SelectorAttributes, validateAccessSpec } from './review-validation.ts';
import type { AskedSelector } from './selectors.ts';

interface ReviewSpec {
  resourceAttributes?: {
    namespace?: string;
    verb?: string;
    group?: string;
    version?: string;
    resource?: string;
    subresource?: string;
    name?: string;
    fieldSelector?: SelectorAttributes;
    labelSelector?: SelectorAttributes;
  };
  nonResourceAttributes?: { path?: string; verb?: string };
  user?: string;
  uid?: string;
  groups?: string[];
  extra?: Record<string, string[]>;
  namespace?: string;
}

export interface ReviewDeps {
  readonly authorizer: Authorizer;
  readonly index: RbacIndex;
}

/** The questions of authorization.k8s.io: may somebody do something, and what may I do. */
export function authorizationReviews(deps: ReviewDeps): ConnectHandlers {
  const access = (
    userOf: (spec: ReviewSpec, exchange: Exchange) => UserInfo,
    { isLocal = false, namesUser = true } = {},
  ): ConnectHandler =>
    review(async (spec, exchange, { kind, namespace }) => {
      const errors = validateAccessSpec(spec, { namesUser });
      if (errors.length > 0) throw invalidObject(kind, '', errors);
      const info = requestOf(spec);
      if (isLocal && info.namespace !== namespace) {
        throw badRequest(`spec.resourceAttributes.namespace must match namespace: ${namespace}`);
      }
      return answerOf(await deps.authorizer.authorize(userOf(spec, exchange), info));
    });
  return {
    'authorization.k8s.io/subjectaccessreviews': access(namedUser),
    'authorization.k8s.io/localsubjectaccessreviews': access(namedUser, { isLocal: true }),
    'authorization.k8s.io/selfsubjectaccessreviews': access((_, { user }) => user, {
      namesUser: false,
    }),
    'authorization.k8s.io/selfsubjectrulesreviews': review(async (spec, { user }) =>
      rulesOf(deps.index, user, spec.namespace ?? ''),
    ),
  };
}

function review(
  answer: (spec: ReviewSpec, exchange: Exchange, target: Target) => Promise<object>,
): ConnectHandler {
  return async ({ schema }, exchange, target) => {
    const { kind } = target;
    const rules = { schema, kind, fieldValidation: 'Warn' as const };
    const object = await readObject(exchange, rules);
    const status = await answer((object.spec ?? {}) as ReviewSpec, exchange, target);
    const body: KubeObject = { ...object, status };
    await sendJson(exchange, 201, Buffer.from(JSON.stringify(body)), 'json');
  };
}

function namedUser(spec: ReviewSpec): UserInfo {
  return {
    name: spec.user ?? '',
    groups: spec.groups ?? [],
    ...(spec.uid ? { uid: spec.uid } : {}),
    ...(spec.extra ? { extra: spec.extra } : {}),
  };
}

function requestOf({ resourceAttributes, nonResourceAttributes }: ReviewSpec): RequestInfo {
  const { verb = '', namespace = '', group = '', version = '' } = resourceAttributes ?? {};
  const { resource = '', subresource = '', name = '' } = resourceAttributes ?? {};
  const { fieldSelector, labelSelector } = resourceAttributes ?? {};
  return {
    path: nonResourceAttributes?.path ?? '',
    verb: nonResourceAttributes?.verb ?? verb,
    isResource: resourceAttributes !== undefined,
    ...{ group, version, namespace, resource, subresource, name },
    ...(fieldSelector ? { fieldSelector: askedSelector(fieldSelector) } : {}),
    ...(labelSelector ? { labelSelector: askedSelector(labelSelector) } : {}),
    rest: '',
  };
}

function askedSelector({ rawSelector, requirements = [] }: SelectorAttributes): AskedSelector {
  return rawSelector ? rawSelector : requirements;
}

function answerOf({ decision, reason }: Decision): object {
  return {
    allowed: decision === 'allow',
    ...(decision === 'deny' ? { denied: true } : {}),
    ...(reason ? { reason } : {}),
  };
}

/** What a user may do in a namespace, as far as roles tell (SelfSubjectRulesReview). */
function rulesOf(index: RbacIndex, user: UserInfo, namespace: string): object {
  const all: PolicyRule = { verbs: ['*'], apiGroups: ['*'], resources: ['*'] };
  const everyPath: PolicyRule = { verbs: ['*'], nonResourceURLs: ['*'] };
  const held = [...index.grantsOf(user, namespace)].flatMap(({ rules }) => rules);
  const rules = user.groups.includes('system:masters') ? [all, everyPath, ...held] : held;
  return {
    resourceRules: rules
      .filter(({ resources }) => resources?.length)
      .map(({ verbs, apiGroups, resources, resourceNames }) => ({
        verbs,
        apiGroups,
        resources,
        ...(resourceNames ? { resourceNames } : {}),
      })),
    nonResourceRules: rules
      .filter(({ nonResourceURLs }) => nonResourceURLs?.length)
      .map(({ verbs, nonResourceURLs }) => ({ verbs, nonResourceURLs })),
    incomplete: false,
  };
}
