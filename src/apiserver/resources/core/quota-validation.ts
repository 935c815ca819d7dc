import {
  duplicate,
  type FieldError,
  forbidden,
  invalid,
  required,
} from '../../../api/field-errors.ts';
import { qualifiedName } from '../../../api/names.ts';
import { compareQuantities, parseQuantity } from '../../../api/quantity.ts';
import type { LimitRange, ResourceQuota } from '../../../api/types.ts';
import { checked, each, immutable, oneOf, quantityNotNegative, repeated } from '../validation.ts';

const SCOPES = [
  'BestEffort',
  'CrossNamespacePodAffinity',
  'NotBestEffort',
  'NotTerminating',
  'PriorityClass',
  'Terminating',
  'VolumeAttributesClass',
];

const STANDARD =
  /^(cpu|memory|ephemeral-storage|storage|pods|services|replicationcontrollers|resourcequotas|secrets|configmaps|persistentvolumeclaims|services\.(nodeports|loadbalancers)|(requests|limits)\.(cpu|memory|storage|ephemeral-storage)|(requests\.)?hugepages-.+|(limits\.)?hugepages-.+)$/;

/** What comes in whole numbers only. */
const COUNTED =
  /^(pods|services|replicationcontrollers|resourcequotas|secrets|configmaps|persistentvolumeclaims|services\.(nodeports|loadbalancers))$/;
const WHOLE = 1_000_000_000n;

/** What quotas of Pods of some kind can bound; those of best effort ask for nothing that could be. */
const OF_PODS =
  /^(pods|cpu|memory|ephemeral-storage|(requests|limits)\.(cpu|memory|ephemeral-storage))$/;
const SCOPED: Readonly<Record<string, RegExp>> = {
  BestEffort: /^pods$/,
  NotBestEffort: OF_PODS,
  Terminating: OF_PODS,
  NotTerminating: OF_PODS,
  PriorityClass: OF_PODS,
  CrossNamespacePodAffinity: OF_PODS,
};

/** A resource that a quota may bound: a known one, or a name with a domain. */
function quotaResource(name: string, field: string): FieldError[] {
  const out = checked(name, qualifiedName, field);
  if (out.length > 0 || name.includes('/') || name.includes('.') || STANDARD.test(name)) return out;
  return [invalid(field, name, 'must be a standard resource for quota')];
}

function validateAmounts(
  amounts: Readonly<Record<string, string>> | undefined,
  path: string,
): FieldError[] {
  return Object.entries(amounts ?? {}).flatMap(([name, text]) => [
    ...quotaResource(name, `${path}[${name}]`),
    ...quantityNotNegative(text, `${path}[${name}]`),
    ...(COUNTED.test(name) && parseQuantity(text).nanos % WHOLE !== 0n
      ? [invalid(`${path}[${name}]`, text, 'must be an integer')]
      : []),
  ]);
}

export function validateQuota({ spec }: ResourceQuota): FieldError[] {
  const { scopes = [], scopeSelector, hard } = spec ?? {};
  const out = validateAmounts(hard, 'spec.hard');
  out.push(...each(scopes, 'spec.scopes', (scope) => oneOf(scope, SCOPES, 'spec.scopes')));
  for (const [a, b] of [
    ['BestEffort', 'NotBestEffort'],
    ['Terminating', 'NotTerminating'],
  ] as const) {
    if (scopes.includes(a) && scopes.includes(b)) {
      out.push(invalid('spec.scopes', scopes, 'conflicting scopes'));
    }
  }
  out.push(...validateScopedNames(scopes, Object.keys(hard ?? {})));
  const at = 'spec.scopeSelector.matchExpressions';
  return [
    ...out,
    ...each(scopeSelector?.matchExpressions, at, ({ scopeName, operator, values = [] }, where) => [
      ...oneOf(scopeName, SCOPES, `${where}.scopeName`),
      ...oneOf(operator, ['DoesNotExist', 'Exists', 'In', 'NotIn'], `${where}.operator`),
      ...((operator === 'In' || operator === 'NotIn') && values.length === 0
        ? [
            invalid(
              `${where}.values`,
              values,
              "must be at least one value when `operator` is 'In' or 'NotIn' for scope selector",
            ),
          ]
        : []),
    ]),
  ];
}

/** A scope can only narrow what comes with Pods. */
function validateScopedNames(scopes: readonly string[], names: readonly string[]): FieldError[] {
  return scopes.flatMap((scope) => {
    const fits = SCOPED[scope];
    const others = fits ? names.filter((name) => !fits.test(name) && !name.includes('/')) : [];
    return others.map(() =>
      invalid('spec.scopes', scopes, 'unsupported scope applied to resource'),
    );
  });
}

export function validateQuotaUpdate(next: ResourceQuota, old: ResourceQuota): FieldError[] {
  const sorted = (quota: ResourceQuota) => [...(quota.spec?.scopes ?? [])].sort();
  return [...validateQuota(next), ...immutable(sorted(next), sorted(old), 'spec.scopes')];
}

export function validateQuotaStatus({ status }: ResourceQuota): FieldError[] {
  return [
    ...validateAmounts(status?.hard, 'status.hard'),
    ...validateAmounts(status?.used, 'status.used'),
  ];
}

type Item = NonNullable<LimitRange['spec']>['limits'][number];

export function validateLimitRange({ spec }: LimitRange): FieldError[] {
  const limits = spec?.limits ?? [];
  const doubles = repeated(limits, (item) => item.type);
  return each(limits, 'spec.limits', (item, at, index) => [
    ...checked(item.type, qualifiedName, `${at}.type`),
    ...(doubles.has(index) ? [duplicate(`${at}.type`, item.type)] : []),
    ...podHasNoDefaults(item, at),
    ...validateOrder(item, at),
    ...validateRatio(item, at),
    ...claimIsBound(item, at),
  ]);
}

function validateRatio(item: Item, at: string): FieldError[] {
  return Object.entries(item.maxLimitRequestRatio ?? {}).flatMap(([name, ratio]) => {
    if (compareQuantities(parseQuantity(ratio), parseQuantity('1')) >= 0) return [];
    const field = `${at}.maxLimitRequestRatio[${name}]`;
    return [invalid(field, ratio, `ratio ${ratio} is less than 1`)];
  });
}

function claimIsBound({ type, min, max }: Item, at: string): FieldError[] {
  if (type !== 'PersistentVolumeClaim') return [];
  if (min?.storage !== undefined || max?.storage !== undefined) return [];
  const detail = 'either minimum or maximum storage value is required, but neither was provided';
  return [required(`${at}.limits`, detail)];
}

function podHasNoDefaults(item: Item, at: string): FieldError[] {
  if (item.type !== 'Pod') return [];
  return (['default', 'defaultRequest'] as const)
    .filter((part) => Object.keys(item[part] ?? {}).length > 0)
    .map((part) => forbidden(`${at}.${part}`, "may not be specified when `type` is 'Pod'"));
}

const ORDER = ['min', 'defaultRequest', 'default', 'max'] as const;

/** min ≤ defaultRequest ≤ default ≤ max, as far as each is said. */
function validateOrder(item: Item, at: string): FieldError[] {
  const out: FieldError[] = [];
  const names = new Set(ORDER.flatMap((part) => Object.keys(item[part] ?? {})));
  for (const name of names) {
    const said = ORDER.filter((part) => item[part]?.[name] !== undefined);
    for (const [i, low] of said.entries()) {
      for (const high of said.slice(i + 1)) {
        const [small, large] = [item[low]?.[name] ?? '0', item[high]?.[name] ?? '0'];
        if (compareQuantities(parseQuantity(small), parseQuantity(large)) <= 0) continue;
        const [a, b] = [wordOf(low), wordOf(high)];
        const detail = `${a} value ${small} is greater than ${b} value ${large}`;
        out.push(invalid(`${at}.${low}[${name}]`, small, detail));
      }
    }
  }
  return out;
}

function wordOf(part: (typeof ORDER)[number]): string {
  return part === 'defaultRequest' ? 'default request' : part;
}
