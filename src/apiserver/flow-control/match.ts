import type { FlowSchema } from '../../api/types.ts';
import type { RequestInfo } from '../request-info.ts';
import type { UserInfo } from '../resource-kind.ts';

type Rule = NonNullable<NonNullable<FlowSchema['spec']>['rules']>[number];
type Subject = Rule['subjects'][number];
type ResourceRule = NonNullable<Rule['resourceRules']>[number];

const ANY = '*';

/** Whether a flow schema is about a request (apiserver flowcontrol rule.go). */
export function matchesSchema({ spec }: FlowSchema, user: UserInfo, info: RequestInfo): boolean {
  return (spec?.rules ?? []).some((rule) => matchesRule(rule, user, info));
}

function matchesRule(rule: Rule, user: UserInfo, info: RequestInfo): boolean {
  if (!rule.subjects.some((subject) => matchesSubject(subject, user))) return false;
  return info.isResource
    ? (rule.resourceRules ?? []).some((one) => matchesResource(one, info))
    : (rule.nonResourceRules ?? []).some(
        ({ verbs, nonResourceURLs }) =>
          has(verbs, info.verb) && nonResourceURLs.some((url) => matchesUrl(url, info.path)),
      );
}

function matchesSubject(subject: Subject, user: UserInfo): boolean {
  switch (subject.kind) {
    case 'User':
      return subject.user?.name === ANY || subject.user?.name === user.name;
    case 'Group':
      return subject.group?.name === ANY || user.groups.includes(subject.group?.name ?? '');
    default: {
      const { namespace = '', name = '' } = subject.serviceAccount ?? {};
      const prefix = `system:serviceaccount:${namespace}:`;
      return name === ANY ? user.name.startsWith(prefix) : user.name === prefix + name;
    }
  }
}

function matchesResource(rule: ResourceRule, info: RequestInfo): boolean {
  const { group, resource, subresource, namespace, verb } = info;
  const name = subresource === '' ? resource : `${resource}/${subresource}`;
  if (!has(rule.verbs, verb) || !has(rule.apiGroups, group) || !has(rule.resources, name)) {
    return false;
  }
  return namespace === '' ? rule.clusterScope === true : has(rule.namespaces ?? [], namespace);
}

function matchesUrl(url: string, path: string): boolean {
  if (url === ANY || url === path) return true;
  return url.endsWith('/*') && path.startsWith(url.slice(0, -1));
}

function has(list: readonly string[], item: string): boolean {
  return list.includes(ANY) || list.includes(item);
}

/** What parts the requests of a schema into flows. */
export function flowOf({ metadata, spec }: FlowSchema, user: UserInfo, info: RequestInfo): string {
  switch (spec?.distinguisherMethod?.type) {
    case 'ByUser':
      return `${metadata.name}/${user.name}`;
    case 'ByNamespace':
      return `${metadata.name}/${info.namespace}`;
    default:
      return metadata.name;
  }
}
