import { describe, expect, it } from 'vitest';
import type { Pod } from '../api/types.ts';
import { type ClusterFacts, judgeControls } from './cis.ts';
import type { ClusterObjects } from './cis-objects.ts';
import { kubeletConfig } from './component-flags.ts';
import { processSpecs } from './components.ts';
import { pathsUnder } from './paths.ts';
import { DEFAULT_SETTINGS } from './settings.ts';

const paths = pathsUnder('/');
const settings = { ...DEFAULT_SETTINGS, nodeName: 'n', nodeIp: '10.0.0.1' };

/** A cluster as `k8ts up` starts it. What one truly shows, a test of a whole cluster compares with docs/security.md. */
function facts(changes: Partial<ClusterFacts> = {}): ClusterFacts {
  const specs = processSpecs(paths, settings, { program: 'node', args: [] });
  const flags = new Map(
    specs.map(({ name, args }) => [
      name,
      new Map(
        args
          .map((arg) => /^--([^=]+)=(.*)$/.exec(arg))
          .flatMap((found) => (found ? [[found[1] ?? '', found[2] ?? ''] as const] : [])),
      ),
    ]),
  );
  return {
    flags,
    file: (name) => (name.startsWith('manifests/') ? undefined : { mode: modeOf(name), uid: 0 }),
    objects: objects(),
    authorizers: ['Node', 'RBAC'],
    encryption: 'secretbox',
    administratorGroups: ['system:masters'],
    podSecurityDefault: 'privileged',
    auditLevel: undefined,
    ...changes,
  };
}

function modeOf(name: string): number {
  if (name.endsWith('.crt')) return 0o644;
  return name === 'store' || name === 'pki' ? 0o700 : 0o600;
}

function objects(changes: Record<string, unknown> = {}): ClusterObjects {
  return {
    nodes: [{ metadata: { name: 'n', labels: { 'kubernetes.io/os': 'linux' } } }],
    kubelets: new Map([['n', JSON.parse(kubeletConfig(paths, settings, { joined: false }))]]),
    namespaces: [{ metadata: { name: 'default' } }, { metadata: { name: 'kube-system' } }],
    ...{ pods: [], roles: [], bindings: [], policies: [], accounts: [] },
    ...{ csiDrivers: [], definitions: [], tokens: [], lastingTokens: [], inDefault: [] },
    ...changes,
  } as unknown as ClusterObjects;
}

function judged(id: string, changes: Partial<ClusterFacts> = {}) {
  return judgeControls(facts(changes)).find((one) => one.id === id);
}

const told = (id: string, changes: Record<string, unknown>) =>
  judged(id, { objects: objects(changes) });

function pod(name: string, spec: object, metadata: object = {}): Pod {
  const container = { name: 'c', image: 'i' };
  return {
    metadata: { name, namespace: 'shop', ...metadata },
    spec: { containers: [container], ...spec },
  } as unknown as Pod;
}

/** A role of users, bound to somebody. */
function bound(rule: object, subject: object, metadata: object = { name: 'r' }) {
  return {
    roles: [{ kind: 'ClusterRole', metadata, rules: [rule] }],
    bindings: [{ metadata, roleRef: { kind: 'ClusterRole', name: 'r' }, subjects: [subject] }],
  };
}

const EVE = { kind: 'User', name: 'eve' };
const ALL = { apiGroups: ['*'], resources: ['*'], verbs: ['*'] };

describe('judgeControls', () => {
  it('has pass, fail or not applicable, and a reason, for every control', () => {
    const found = judgeControls(facts());
    expect(found).toHaveLength(131);
    for (const { id, verdict, reason } of found) {
      expect(['pass', 'fail', 'n/a'], id).toContain(verdict);
      expect(reason, id).not.toBe('');
    }
  });

  it('reads command lines, configuration and files', () => {
    expect(judged('1.2.14')?.verdict).toBe('pass');
    expect(judged('4.2.1')?.verdict).toBe('pass');
    expect(judged('1.1.13')?.verdict).toBe('pass');
    expect(judged('1.1.13', { file: () => ({ mode: 0o666, uid: 0 }) })).toMatchObject({
      verdict: 'fail',
      reason: 'admin.conf has 666, may have 600',
    });
  });

  it('looks at static Pods where the control plane runs as such', () => {
    expect(judged('1.1.1')).toMatchObject({ verdict: 'n/a' });
    const file = () => ({ mode: 0o644, uid: 0 });
    expect(judged('1.1.1', { file })).toMatchObject({
      verdict: 'fail',
      reason: 'manifests/kube-apiserver.yaml has 644, may have 600',
    });
  });

  it('looks at etcd where there is one', () => {
    const ids = ['1.1.11', '1.2.23', '1.2.26', '2.1', '2.3', '2.7'];
    const stacked = new Map(facts().flags)
      .set(
        'apiserver',
        new Map([
          ['etcd-servers', 'https://127.0.0.1:2379'],
          ['etcd-cafile', 'c'],
        ]),
      )
      .set(
        'etcd',
        new Map([
          ['cert-file', 'c'],
          ['key-file', 'k'],
          ['auto-tls', 'true'],
        ]),
      );
    const verdicts = (flags: ClusterFacts['flags']) =>
      ids.map((id) => judged(id, { flags })?.verdict);
    expect(verdicts(facts().flags)).toEqual(['pass', ...Array(5).fill('n/a')]);
    const etcd = { file: () => ({ mode: 0o755, uid: 0 }), flags: stacked };
    expect(judged('1.1.11', etcd)?.reason).toBe('etcd-data has 755, may have 700');
    expect(verdicts(stacked).slice(1)).toEqual(['fail', 'pass', 'pass', 'fail', 'n/a']);
  });

  it.each([
    ['1.2.7', { authorizers: ['Node', 'RBAC'] }, { authorizers: ['RBAC'] }],
    ['1.2.6', { authorizers: ['RBAC'] }, { authorizers: ['RBAC', 'AlwaysAllow'] }],
    ['1.2.28', { encryption: 'secretbox' }, { encryption: undefined }],
    ['5.1.7', { administratorGroups: ['admins'] }, { administratorGroups: ['system:masters'] }],
    ['5.2.2', { podSecurityDefault: 'baseline' }, { podSecurityDefault: 'privileged' }],
    ['5.2.6', { podSecurityDefault: 'restricted' }, { podSecurityDefault: 'baseline' }],
    ['3.2.2', { auditLevel: () => 'Metadata' }, { auditLevel: () => 'RequestResponse' }],
  ] as [string, Partial<ClusterFacts>, Partial<ClusterFacts>][])(
    '%s depends on how the cluster is configured',
    (id, good, bad) => {
      expect(judged(id, good)?.verdict).toBe('pass');
      expect(judged(id, bad)?.verdict).toBe('fail');
    },
  );

  it('names what the audit policy leaves out', () => {
    const auditLevel = ({ subresource }: { subresource: string }) =>
      subresource === '' ? 'Metadata' : 'None';
    expect(judged('3.2.2', { auditLevel })?.reason).toMatch(
      /: pods\/exec, pods\/portforward, pods\/proxy, services\/proxy$/,
    );
  });

  it.each([
    ['5.1.2', { apiGroups: [''], resources: ['secrets'], verbs: ['list'] }],
    ['5.1.4', { apiGroups: [''], resources: ['pods'], verbs: ['create'] }],
    ['5.1.8', { apiGroups: [''], resources: ['users'], verbs: ['impersonate'] }],
    ['5.1.9', { apiGroups: [''], resources: ['persistentvolumes'], verbs: ['create'] }],
    ['5.1.10', { apiGroups: [''], resources: ['*/proxy'], verbs: ['get'] }],
    ['5.1.11', { ...ALL, apiGroups: ['certificates.k8s.io'] }],
    ['5.1.12', { ...ALL, apiGroups: ['admissionregistration.k8s.io'] }],
    ['5.1.13', { apiGroups: [''], resources: ['serviceaccounts/token'], verbs: ['create'] }],
  ])('%s names who holds the right', (id, rule) => {
    expect(told(id, bound(rule, EVE))).toMatchObject({
      verdict: 'fail',
      reason: 'These may: User eve',
    });
    const account = { kind: 'ServiceAccount', name: 'a', namespace: 'shop' };
    expect(told(id, bound(rule, account))?.reason).toBe('These may: ServiceAccount shop/a');
    const everybody = { kind: 'Group', name: 'system:authenticated' };
    expect(told(id, bound(rule, everybody))?.verdict).toBe('fail');
    const own = { kind: 'User', name: 'system:kube-scheduler' };
    expect(told(id, bound(rule, own))?.verdict).toBe('pass');
    expect(told(id, bound({ ...rule, resourceNames: ['one'] }, EVE))?.verdict).toBe('pass');
    expect(told(id, bound({ ...rule, verbs: ['deletecollection'] }, EVE))?.verdict).toBe('pass');
  });

  it("finds wildcards and administrators, but for upstream's own", () => {
    const own = { name: 'r', labels: { 'kubernetes.io/bootstrapping': 'rbac-defaults' } };
    expect(told('5.1.3', bound(ALL, EVE))?.reason).toBe('Roles have some: r');
    expect(told('5.1.3', bound(ALL, EVE, own))?.verdict).toBe('pass');
    const binding = (name: string) => ({ metadata: { name }, roleRef: { name: 'cluster-admin' } });
    expect(told('5.1.1', { bindings: [binding('cluster-admin')] })?.verdict).toBe('pass');
    expect(told('5.1.1', { bindings: [binding('mine')] })?.reason).toBe('Bindings name it: mine');
  });

  const token = {
    volumes: [{ projected: { sources: [{ serviceAccountToken: { path: 'token' } }] } }],
    serviceAccountName: 'a',
  };
  const account = { kind: 'ServiceAccount', name: 'a', namespace: 'shop' };
  const secret = { valueFrom: { secretKeyRef: { name: 's', key: 'k' } } };
  const profile = { seccompProfile: { type: 'RuntimeDefault' } };
  it.each([
    [
      '5.1.5',
      {
        accounts: [
          { metadata: { name: 'default', namespace: 'shop' }, automountServiceAccountToken: false },
        ],
      },
      { accounts: [{ metadata: { name: 'default', namespace: 'shop' } }] },
    ],
    ['5.1.6', { pods: [pod('p', token)], ...bound(ALL, account) }, { pods: [pod('p', token)] }],
    ['3.1.2', { lastingTokens: ['kube-system/x'] }, { lastingTokens: ['shop/x'] }],
    ['3.1.3', { tokens: [{ id: 'a', expires: 1 }] }, { tokens: [{ id: 'a' }] }],
    [
      '5.3.2',
      { policies: ['default', 'kube-system'].map((namespace) => ({ metadata: { namespace } })) },
      { policies: [] },
    ],
    [
      '5.4.1',
      { pods: [pod('p', {})] },
      { pods: [pod('p', { containers: [{ name: 'c', env: [{ name: 'S', ...secret }] }] })] },
    ],
    ['5.4.2', { csiDrivers: ['secrets-store.csi.k8s.io'] }, {}],
    ['5.7.1', { pods: [pod('p', {})] }, { pods: [pod('p', {}, { namespace: 'default' })] }],
    ['5.7.2', { pods: [pod('p', { securityContext: profile })] }, { pods: [pod('p', {})] }],
    ['5.7.3', { pods: [pod('p', { securityContext: profile })] }, { pods: [pod('p', {})] }],
    ['5.7.4', {}, { inDefault: ['services/web'] }],
  ])('%s looks at what runs', (id, good, bad) => {
    expect(told(id, good)).toMatchObject({ verdict: 'pass' });
    expect(told(id, bad)).toMatchObject({ verdict: 'fail' });
  });

  it("Windows counts where a node runs it, and a CNI plug-in's policies where the proxy has none", () => {
    expect(told('5.2.11', {})).toMatchObject({ verdict: 'n/a' });
    const nodes = [{ metadata: { name: 'w', labels: { 'kubernetes.io/os': 'windows' } } }];
    expect(told('5.2.11', { nodes })?.reason).toBe('Namespaces do not enforce baseline: default');
    const flags = new Map([['proxy', new Map([['network-policy', 'false']])]]);
    expect(judged('5.3.1')?.verdict).toBe('pass');
    expect(judged('5.3.1', { flags })?.verdict).toBe('fail');
    const calico = pod('calico-node-x', {}, { namespace: 'kube-system' });
    expect(judged('5.3.1', { flags, objects: objects({ pods: [calico] }) })?.verdict).toBe('pass');
  });

  it('names the nodes whose kubelet differs', () => {
    const good = { authentication: { anonymous: { enabled: false } } };
    const kubelets = new Map([
      ['a', good],
      ['b', undefined],
    ]);
    expect(told('4.2.1', { kubelets })).toMatchObject({
      verdict: 'fail',
      reason: 'authentication.anonymous.enabled is not set on b',
    });
  });
});
