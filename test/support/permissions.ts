import { readFileSync } from 'node:fs';
import {
  type PolicyRule,
  ruleAllows,
  type Subject,
} from '../../src/apiserver/authz/policy-rule.ts';
import type { RequestInfo } from '../../src/apiserver/request-info.ts';
import type { Cluster } from './cluster.ts';

/** A request as the audit log tells it. */
export interface AuditedRequest {
  readonly verb: string;
  readonly requestURI: string;
  readonly user: { readonly username: string; readonly groups?: readonly string[] };
  readonly objectRef?: {
    readonly resource?: string;
    readonly subresource?: string;
    readonly apiGroup?: string;
    readonly namespace?: string;
    readonly name?: string;
  };
  readonly responseStatus?: { readonly code?: number };
  readonly annotations?: Readonly<Record<string, string>>;
}

interface Role {
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string };
  readonly rules?: PolicyRule[];
}

interface Binding {
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly labels?: Record<string, string>;
  };
  readonly roleRef: { readonly kind: string; readonly name: string };
  readonly subjects?: Subject[];
}

/** Rules with the namespace that they count in; empty: everywhere. */
interface Grant {
  readonly namespace: string;
  readonly rules: readonly PolicyRule[];
}

export interface Policy {
  readonly roles: readonly Role[];
  readonly bindings: readonly Binding[];
}

export function readAuditLog(file: string): AuditedRequest[] {
  // The last one may be half written: the server goes on.
  const lines = readFileSync(file, 'utf8').split('\n').slice(0, -1);
  return lines.map((line) => JSON.parse(line) as AuditedRequest);
}

/** All roles and bindings of a cluster. */
export async function readPolicy(cluster: Cluster): Promise<Policy> {
  const all = async (...kinds: string[]) =>
    (await cluster.get(kinds.join(','), '--all-namespaces')).items;
  return {
    roles: await all('clusterroles', 'roles'),
    bindings: await all('clusterrolebindings', 'rolebindings'),
  };
}

/** What a user holds by bindings, and a node by the Node authorizer. */
export function grantsOf({ roles, bindings }: Policy, user: AuditedRequest['user']): Grant[] {
  const bound = bindings.filter(({ subjects = [] }) => subjects.some((one) => isAbout(one, user)));
  const grants = bound.map(({ metadata: { namespace = '' }, roleRef }) => {
    const role = roles.find(
      ({ kind, metadata }) =>
        kind === roleRef.kind &&
        metadata.name === roleRef.name &&
        (kind === 'ClusterRole' || metadata.namespace === namespace),
    );
    return { namespace, rules: role?.rules ?? [] };
  });
  if (!user.groups?.includes('system:nodes')) return grants;
  const { rules = [] } = roles.find(({ metadata }) => metadata.name === 'system:node') ?? {};
  return [...grants, { namespace: '', rules }];
}

function isAbout({ kind, name, namespace }: Subject, { username, groups }: AuditedRequest['user']) {
  if (kind === 'Group') return groups?.includes(name) ?? false;
  return username === (kind === 'User' ? name : `system:serviceaccount:${namespace}:${name}`);
}

export function isHeld(grants: readonly Grant[], request: AuditedRequest): boolean {
  const info = infoOf(request);
  return grants.some(
    ({ namespace, rules }) =>
      (namespace === '' || namespace === info.namespace) &&
      rules.some((rule) => ruleAllows(rule, info)),
  );
}

/** `get secrets`, `patch apps/deployments/status`, `get /readyz` */
export function permissionOf({ verb, requestURI, objectRef }: AuditedRequest): string {
  if (!objectRef) return `${verb} ${requestURI.split('?')[0]}`;
  const { apiGroup = '', resource = '', subresource } = objectRef;
  return `${verb} ${fullName(apiGroup, resource, subresource)}`;
}

/** Every permission that rules hold, of those that are written out in full. */
export function permissionsIn(grants: readonly Grant[]): string[] {
  const out = new Set<string>();
  for (const { verbs = [], apiGroups = [], resources = [] } of grants.flatMap((g) => g.rules)) {
    for (const verb of verbs) {
      for (const group of apiGroups) {
        for (const resource of resources) out.add(`${verb} ${fullName(group, resource)}`);
      }
    }
  }
  return [...out].sort();
}

function fullName(group: string, resource: string, subresource?: string): string {
  const whole = subresource ? `${resource}/${subresource}` : resource;
  return group === '' ? whole : `${group}/${whole}`;
}

function infoOf({ verb, requestURI, objectRef }: AuditedRequest): RequestInfo {
  const url = new URL(requestURI, 'https://cluster');
  const { apiGroup = '', resource = '', subresource = '' } = objectRef ?? {};
  const { namespace = '', name = '' } = objectRef ?? {};
  const field = url.searchParams.get('fieldSelector') ?? '';
  return {
    ...{ path: url.pathname, verb, isResource: objectRef !== undefined },
    ...{ group: apiGroup, version: '', resource, subresource, namespace, name, rest: '' },
    selectedName: /(?:^|,)metadata\.name==?([^,]+)/.exec(field)?.[1],
  };
}
