import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { bootstrapPolicy, type PolicyObject } from './bootstrap-policy.ts';
import type { PolicyRule } from './policy-rule.ts';

const FIXTURE = resolve(import.meta.dirname, '../../../test/fixtures/upstream/rbac-bootstrap.tsv');

/** What this project serves although upstream does so only when it is told to. */
const ASKED_GATE = 'ClusterTrustBundle';

/** Upstream's default roles and bindings of clusters without further feature gates: by name, their permissions or subjects. */
function upstream(): Map<string, string[]> {
  const found = new Map<string, string[]>();
  for (const line of readFileSync(FIXTURE, 'utf8').trimEnd().split('\n').slice(1)) {
    const [kind = '', namespace = '', name = '', to = '', from = '', rules, role, who, gate] =
      line.split('\t');
    if (gate && gate !== ASKED_GATE) continue;
    const parts = [
      ...(to ? [`to ${to}`] : []),
      ...(from ? from.split(',').map((one) => `from ${one}`) : []),
      ...(role ? [role] : []),
      ...(who ? who.split(' ; ') : []),
      ...(rules ? rules.split(' ; ') : []).flatMap((rule) => {
        const [groups = '', resources = '', verbs = '', names = ''] = rule.split('|');
        if (groups.startsWith('url:')) return product([resources, groups.slice(4)]);
        return product([verbs, groups.replaceAll('""', ''), resources, names]);
      }),
    ];
    const key = `${kind} ${namespace}/${name}`;
    found.set(key, [...(found.get(key) ?? []), ...parts].sort());
  }
  return found;
}

/** `get|GROUP|RESOURCE|NAME` for everything that lists of them stand for. */
function product(lists: readonly string[]): string[] {
  return lists.reduce<string[]>(
    (all, list) => all.flatMap((head) => list.split(',').map((one) => `${head}|${one}`)),
    [''],
  );
}

function ours(object: PolicyObject): string[] {
  const { roleRef, subjects = [], rules = [], metadata, aggregationRule } = object;
  const label = /aggregate-to-(.*)/;
  const { clusterRoleSelectors = [] } = (aggregationRule ?? {}) as {
    clusterRoleSelectors?: { matchLabels: object }[];
  };
  const names = (labels: object = {}) =>
    Object.keys(labels).flatMap((key) => label.exec(key)?.[1] ?? []);
  return [
    ...names(metadata.labels).map((one) => `to ${one}`),
    ...clusterRoleSelectors.flatMap(({ matchLabels }) =>
      names(matchLabels).map((one) => `from ${one}`),
    ),
    ...(roleRef ? [`${roleRef.kind}/${roleRef.name}`] : []),
    ...subjects.map(({ kind, name, namespace }) =>
      kind === 'ServiceAccount' ? `sa:${namespace}/${name}` : `${kind.toLowerCase()}:${name}`,
    ),
    // What is aggregated is the sum of others, which are compared themselves.
    ...(clusterRoleSelectors.length > 0 ? [] : rules.flatMap(permissions)),
  ].sort();
}

function permissions(rule: PolicyRule): string[] {
  const { verbs = [], apiGroups = [], resources = [], resourceNames = [''] } = rule;
  if (rule.nonResourceURLs) return product([verbs.join(), rule.nonResourceURLs.join()]);
  return product([verbs.join(), apiGroups.join(), resources.join(), resourceNames.join()]);
}

describe('bootstrapPolicy', () => {
  const made = new Map(
    bootstrapPolicy().map((object) => {
      const { kind, metadata } = object;
      return [`${kind} ${metadata.namespace ?? ''}/${metadata.name}`, object];
    }),
  );

  it('holds every default role and binding of upstream, with just the same rights', () => {
    for (const [name, parts] of upstream()) {
      const object = made.get(name);
      expect(object && ours(object), name).toEqual(parts);
    }
  });

  it("adds only those of this project's own parts", () => {
    const known = upstream();
    expect([...made.keys()].filter((name) => !known.has(name)).sort()).toEqual([
      'ClusterRole /k8ts:network-policy',
      'ClusterRole /system:controller:kube-apiserver-serving-clustertrustbundle-publisher',
      'ClusterRole /system:controller:kubelet-serving-approver',
      'ClusterRole /system:controller:local-path-provisioner',
      'ClusterRole /system:coredns',
      'ClusterRoleBinding /k8ts:kube-apiserver-kubelet-client',
      'ClusterRoleBinding /k8ts:network-policy',
      'ClusterRoleBinding /k8ts:system:coredns:system:coredns',
      'ClusterRoleBinding /system:controller:kube-apiserver-serving-clustertrustbundle-publisher',
      'ClusterRoleBinding /system:controller:kubelet-serving-approver',
      'ClusterRoleBinding /system:controller:local-path-provisioner',
    ]);
  });
});
