import {
  type FieldError,
  forbidden,
  invalid,
  notSupported,
  required,
} from '../../../api/field-errors.ts';
import { dns1123Subdomain } from '../../../api/names.ts';
import type { FlowSchema, PriorityLevelConfiguration } from '../../../api/types.ts';
import { each, mustBeThere, notNegative, oneOf, requiredAnd } from '../validation.ts';

type Rules = NonNullable<NonNullable<FlowSchema['spec']>['rules']>[number];
type Subject = Rules['subjects'][number];

const MAX_PRECEDENCE = 10_000;

export function validateFlowSchema({ spec }: FlowSchema): FieldError[] {
  if (!spec) return [required('spec')];
  const out: FieldError[] = [];
  const precedence = spec.matchingPrecedence ?? 0;
  if (precedence <= 0)
    out.push(invalid('spec.matchingPrecedence', precedence, 'must be a positive value'));
  if (precedence > MAX_PRECEDENCE) {
    const detail = `must not be greater than ${MAX_PRECEDENCE}`;
    out.push(invalid('spec.matchingPrecedence', precedence, detail));
  }
  if (spec.distinguisherMethod) {
    const field = 'spec.distinguisherMethod';
    out.push(...oneOf(spec.distinguisherMethod.type, ['ByNamespace', 'ByUser'], field));
  }
  const level = 'spec.priorityLevelConfiguration.name';
  out.push(...requiredAnd(spec.priorityLevelConfiguration.name, dns1123Subdomain, level));
  return [
    ...out,
    ...each(spec.rules, 'spec.rules', (rule, at) => [
      ...mustBeThere(rule.subjects, `${at}.subjects`, 'subjects must contain at least one value'),
      ...each(rule.subjects, `${at}.subjects`, validateSubject),
      ...validateMatches(rule, at),
    ]),
  ];
}

function validateSubject(subject: Subject, at: string): FieldError[] {
  switch (subject.kind) {
    case 'User':
      return mustBeThere(
        subject.user?.name,
        `${at}.user`,
        "user is required when subject kind is 'User'",
      );
    case 'Group':
      return mustBeThere(
        subject.group?.name,
        `${at}.group`,
        "group is required when subject kind is 'Group'",
      );
    case 'ServiceAccount':
      return [
        ...mustBeThere(subject.serviceAccount?.name, `${at}.serviceAccount.name`),
        ...mustBeThere(
          subject.serviceAccount?.namespace,
          `${at}.serviceAccount.namespace`,
          'must specify namespace for service account',
        ),
      ];
    default:
      return [notSupported(`${at}.kind`, subject.kind, ['Group', 'ServiceAccount', 'User'])];
  }
}

function validateMatches({ resourceRules, nonResourceRules }: Rules, at: string): FieldError[] {
  if (!resourceRules?.length && !nonResourceRules?.length) {
    return [required(at, 'at least one of resourceRules and nonResourceRules has to be non-empty')];
  }
  return [
    ...each(resourceRules, `${at}.resourceRules`, (rule, where) => [
      ...mustBeThere(rule.verbs, `${where}.verbs`, 'verbs must contain at least one value'),
      ...mustBeThere(
        rule.apiGroups,
        `${where}.apiGroups`,
        'resource rules must supply at least one api group',
      ),
      ...mustBeThere(
        rule.resources,
        `${where}.resources`,
        'resource rules must supply at least one resource',
      ),
      ...(!rule.namespaces?.length && !rule.clusterScope
        ? [
            required(
              `${where}.namespaces`,
              'resource rules that are not cluster scoped must supply at least one namespace',
            ),
          ]
        : []),
    ]),
    ...each(nonResourceRules, `${at}.nonResourceRules`, (rule, where) => [
      ...mustBeThere(rule.verbs, `${where}.verbs`, 'verbs must contain at least one value'),
      ...mustBeThere(
        rule.nonResourceURLs,
        `${where}.nonResourceURLs`,
        'nonResourceURLs must contain at least one value',
      ),
    ]),
  ];
}

const MAX_QUEUES = 10_000_000;

export function validatePriorityLevel({ spec }: PriorityLevelConfiguration): FieldError[] {
  if (!spec) return [required('spec')];
  const types = ['Exempt', 'Limited'];
  if (spec.type === 'Exempt') {
    if (spec.limited) {
      return [forbidden('spec.limited', 'must be nil if the type is not Limited')];
    }
    const shares = spec.exempt?.nominalConcurrencyShares;
    return notNegative(shares, 'spec.exempt.nominalConcurrencyShares');
  }
  if (spec.type !== 'Limited') return [notSupported('spec.type', spec.type, types)];
  if (spec.exempt) return [forbidden('spec.exempt', 'must be nil if the type is Limited')];
  return spec.limited
    ? validateLimited(spec.limited)
    : [required('spec.limited', 'must not be empty when type is Limited')];
}

type Limited = NonNullable<NonNullable<PriorityLevelConfiguration['spec']>['limited']>;

function validateLimited(limited: Limited): FieldError[] {
  const at = 'spec.limited';
  const out = notNegative(limited.nominalConcurrencyShares, `${at}.nominalConcurrencyShares`);
  const lendable = limited.lendablePercent ?? 0;
  if (lendable < 0 || lendable > 100) {
    out.push(invalid(`${at}.lendablePercent`, lendable, 'must be between 0 and 100, inclusive'));
  }
  const borrowing = limited.borrowingLimitPercent ?? 0;
  if (borrowing < 0) {
    const detail = 'if specified, must be a non-negative integer';
    out.push(invalid(`${at}.borrowingLimitPercent`, borrowing, detail));
  }
  return [...out, ...validateResponse(limited.limitResponse, `${at}.limitResponse`)];
}

function validateResponse(response: Limited['limitResponse'], where: string): FieldError[] {
  const out: FieldError[] = [];
  if (response?.type === 'Reject') {
    if (response.queuing) {
      out.push(
        forbidden(`${where}.queuing`, 'must be nil if limited.limitResponse.type is not Limited'),
      );
    }
    return out;
  }
  if (response?.type !== 'Queue')
    return [...out, notSupported(`${where}.type`, response?.type ?? '', ['Queue', 'Reject'])];
  const queuing = response.queuing;
  if (!queuing)
    return [
      ...out,
      required(`${where}.queuing`, 'must not be empty if limited.limitResponse.type is Limited'),
    ];
  const { queues = 0, handSize = 0, queueLengthLimit = 0 } = queuing;
  for (const [part, value] of Object.entries({ queueLengthLimit, queues, handSize })) {
    if (value <= 0) out.push(invalid(`${where}.queuing.${part}`, value, 'must be positive'));
  }
  if (queues > MAX_QUEUES)
    out.push(invalid(`${where}.queuing.queues`, queues, `must not be greater than ${MAX_QUEUES}`));
  if (handSize > queues) {
    out.push(
      invalid(
        `${where}.queuing.handSize`,
        handSize,
        `should not be greater than queues (${queues})`,
      ),
    );
  }
  return out;
}
