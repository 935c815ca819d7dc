import type { RequestInfo } from '../request-info.ts';
import type { UserInfo } from '../resource-kind.ts';

/** What a role allows (rbac/v1 PolicyRule). */
export interface PolicyRule {
  readonly verbs?: readonly string[];
  readonly apiGroups?: readonly string[];
  readonly resources?: readonly string[];
  readonly resourceNames?: readonly string[];
  readonly nonResourceURLs?: readonly string[];
}

/** Who a binding is about (rbac/v1 Subject). */
export interface Subject {
  readonly kind: string;
  readonly name: string;
  readonly namespace?: string;
  readonly apiGroup?: string;
}

const ALL = '*';

const has = (list: readonly string[] | undefined, wanted: string): boolean =>
  list?.some((item) => item === wanted || item === ALL) ?? false;

/** Whether the rule allows the request. */
export function ruleAllows(rule: PolicyRule, info: RequestInfo): boolean {
  if (!has(rule.verbs, info.verb)) return false;
  if (!info.isResource) return pathMatches(rule.nonResourceURLs, info.path);
  return (
    has(rule.apiGroups, info.group) &&
    resourceMatches(rule.resources, info.resource, info.subresource) &&
    nameMatches(rule.resourceNames, info.name || (info.selectedName ?? ''))
  );
}

function resourceMatches(
  resources: readonly string[] | undefined,
  resource: string,
  subresource: string,
): boolean {
  const full = subresource === '' ? resource : `${resource}/${subresource}`;
  const anyOwner = subresource === '' ? undefined : `*/${subresource}`;
  return resources?.some((r) => r === ALL || r === full || r === anyOwner) ?? false;
}

function nameMatches(names: readonly string[] | undefined, name: string): boolean {
  return names === undefined || names.length === 0 || names.includes(name);
}

function pathMatches(urls: readonly string[] | undefined, path: string): boolean {
  return (
    urls?.some((url) => {
      if (url === ALL || url === path) return true;
      return url.endsWith('*') && path.startsWith(url.slice(0, -1));
    }) ?? false
  );
}

/**
 * The parts of `wanted` that no rule of `held` covers: empty when whoever holds these rules may hand `wanted` on
 * (component-helpers rbac validation.Covers).
 */
export function uncovered(
  held: readonly PolicyRule[],
  wanted: readonly PolicyRule[],
): PolicyRule[] {
  return wanted.flatMap(parts).filter((part) => !held.some((rule) => covers(rule, part)));
}

function parts(rule: PolicyRule): PolicyRule[] {
  const verbs = rule.verbs ?? [];
  const paths = (rule.nonResourceURLs ?? []).flatMap((url) =>
    verbs.map((verb) => ({ verbs: [verb], nonResourceURLs: [url] })),
  );
  const names = rule.resourceNames?.length ? rule.resourceNames : [undefined];
  const resources = (rule.apiGroups ?? []).flatMap((group) =>
    (rule.resources ?? []).flatMap((resource) =>
      verbs.flatMap((verb) =>
        names.map((name) => ({
          verbs: [verb],
          apiGroups: [group],
          resources: [resource],
          ...(name === undefined ? {} : { resourceNames: [name] }),
        })),
      ),
    ),
  );
  return [...paths, ...resources];
}

function covers(rule: PolicyRule, part: PolicyRule): boolean {
  if (!has(rule.verbs, part.verbs?.[0] ?? '')) return false;
  const [url] = part.nonResourceURLs ?? [];
  if (url !== undefined) return pathMatches(rule.nonResourceURLs, url);
  const [resource = '', subresource = ''] = (part.resources?.[0] ?? '').split('/');
  const [name] = part.resourceNames ?? [];
  const isFree = !rule.resourceNames?.length;
  return (
    has(rule.apiGroups, part.apiGroups?.[0] ?? '') &&
    resourceMatches(rule.resources, resource, subresource) &&
    (isFree || (name !== undefined && nameMatches(rule.resourceNames, name)))
  );
}

/** Under which keys bindings may name this user. */
export function subjectKeysOf(user: UserInfo): string[] {
  return [`User:${user.name}`, ...user.groups.map((group) => `Group:${group}`)];
}

/** The key of a subject; service accounts are users by the name that their tokens carry. */
export function subjectKey(subject: Subject, bindingNamespace: string): string {
  if (subject.kind !== 'ServiceAccount') return `${subject.kind}:${subject.name}`;
  const namespace = subject.namespace || bindingNamespace;
  return `User:system:serviceaccount:${namespace}:${subject.name}`;
}

/** Shown as upstream shows it in messages: `{APIGroups:["apps"], Resources:["pods"], Verbs:["get"]}`. */
export function ruleText(rule: PolicyRule): string {
  const list = (name: string, values: readonly string[] | undefined) =>
    values?.length ? [`${name}:[${values.map((v) => JSON.stringify(v)).join(' ')}]`] : [];
  return `{${[
    ...list('APIGroups', rule.apiGroups),
    ...list('Resources', rule.resources),
    ...list('ResourceNames', rule.resourceNames),
    ...list('NonResourceURLs', rule.nonResourceURLs),
    ...list('Verbs', rule.verbs),
  ].join(', ')}}`;
}
