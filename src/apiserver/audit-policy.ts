import type { RequestInfo } from './request-info.ts';
import type { UserInfo } from './resource-kind.ts';

export const AUDIT_LEVELS = ['None', 'Metadata', 'Request', 'RequestResponse'] as const;
export type AuditLevel = (typeof AUDIT_LEVELS)[number];
export const AUDIT_STAGES = [
  'RequestReceived',
  'ResponseStarted',
  'ResponseComplete',
  'Panic',
] as const;
export type AuditStage = (typeof AUDIT_STAGES)[number];

interface GroupResources {
  readonly group?: string;
  readonly resources?: readonly string[];
  readonly resourceNames?: readonly string[];
}

export interface AuditRule {
  readonly level: AuditLevel;
  readonly users?: readonly string[];
  readonly userGroups?: readonly string[];
  readonly verbs?: readonly string[];
  readonly resources?: readonly GroupResources[];
  readonly namespaces?: readonly string[];
  readonly nonResourceURLs?: readonly string[];
  readonly omitStages?: readonly AuditStage[];
  readonly omitManagedFields?: boolean;
}

/** What is recorded (audit.k8s.io/v1 Policy). */
export interface AuditPolicy {
  readonly rules: readonly AuditRule[];
  readonly omitStages?: readonly AuditStage[];
  readonly omitManagedFields?: boolean;
}

export interface AuditDecision {
  readonly level: AuditLevel;
  readonly omitStages: ReadonlySet<AuditStage>;
  readonly omitManagedFields: boolean;
}

/** The first rule that matches decides; what none matches is not recorded. Pure. */
export function auditDecision(
  policy: AuditPolicy,
  user: UserInfo,
  info: RequestInfo,
): AuditDecision {
  const rule = policy.rules.find((one) => matches(one, user, info));
  return {
    level: rule?.level ?? 'None',
    omitStages: new Set([...(policy.omitStages ?? []), ...(rule?.omitStages ?? [])]),
    omitManagedFields: rule?.omitManagedFields ?? policy.omitManagedFields ?? false,
  };
}

function matches(rule: AuditRule, user: UserInfo, info: RequestInfo): boolean {
  const { users, userGroups, verbs, namespaces, resources, nonResourceURLs } = rule;
  if (users?.length && !users.includes(user.name)) return false;
  if (userGroups?.length && !userGroups.some((group) => user.groups.includes(group))) return false;
  if (verbs?.length && !verbs.includes(info.verb)) return false;
  if (namespaces?.length || resources?.length) {
    return info.isResource && matchesResource(rule, info);
  }
  if (nonResourceURLs?.length) {
    return !info.isResource && nonResourceURLs.some((url) => pathMatches(url, info.path));
  }
  return true;
}

function matchesResource({ namespaces, resources }: AuditRule, info: RequestInfo): boolean {
  // An empty text stands for what is in no namespace.
  if (namespaces?.length && !namespaces.includes(info.namespace)) return false;
  if (!resources?.length) return true;
  return resources.some(({ group = '', resources: names = [], resourceNames = [] }) => {
    if (group !== info.group) return false;
    if (resourceNames.length > 0 && !resourceNames.includes(info.name)) return false;
    return names.length === 0 || names.some((name) => resourceMatches(name, info));
  });
}

/** `pods`, `pods/log`, `pods/*`, `*`, or a sub-resource of everything by an asterisk before its slash. */
function resourceMatches(pattern: string, { resource, subresource }: RequestInfo): boolean {
  const full = subresource === '' ? resource : `${resource}/${subresource}`;
  if (pattern === '*' || pattern === full) return true;
  const [of, sub] = pattern.split('/');
  if (of === '*' && sub !== undefined && sub === subresource) return true;
  return of === resource && sub === '*' && subresource !== '';
}

function pathMatches(pattern: string, path: string): boolean {
  if (pattern === '*' || pattern === path) return true;
  return pattern.endsWith('*') && path.startsWith(pattern.slice(0, -1));
}

/** Reads a policy from plain data. Throws Error that names what is wrong. */
export function auditPolicyOf(data: unknown): AuditPolicy {
  const policy = (data ?? {}) as Partial<AuditPolicy> & { kind?: string; apiVersion?: string };
  if (policy.kind !== 'Policy' || policy.apiVersion !== 'audit.k8s.io/v1') {
    throw new Error('The audit policy must be an audit.k8s.io/v1 Policy');
  }
  if (!policy.rules?.length) throw new Error('The audit policy has no rules');
  for (const [i, rule] of policy.rules.entries()) checkRule(rule, `Audit policy: rules[${i}]`);
  return policy as AuditPolicy;
}

function checkRule(rule: AuditRule, at: string): void {
  if (!AUDIT_LEVELS.includes(rule.level)) {
    throw new Error(`${at}.level: unknown level ${JSON.stringify(rule.level)}`);
  }
  const unknown = rule.omitStages?.find((stage) => !AUDIT_STAGES.includes(stage));
  if (unknown !== undefined) {
    throw new Error(`${at}.omitStages: unknown stage ${JSON.stringify(unknown)}`);
  }
  if (rule.nonResourceURLs?.length && (rule.resources?.length || rule.namespaces?.length)) {
    throw new Error(`${at}: rules cannot apply to both regular resources and non-resource URLs`);
  }
}
