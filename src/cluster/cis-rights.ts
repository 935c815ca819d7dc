import type { ClusterRoleBinding, RoleBinding } from '../api/types.ts';
import { ADMINISTRATORS } from './certificates.ts';
import { type Judgement, unless } from './cis-judgement.ts';
import type { ClusterObjects } from './cis-objects.ts';

type Objects = Pick<ClusterObjects, 'roles' | 'bindings'>;
type Binding = RoleBinding | ClusterRoleBinding;
type Rule = NonNullable<ClusterObjects['roles'][number]['rules']>[number];
type Subject = NonNullable<Binding['subjects']>[number];

/** A right that few should have: any of these verbs on any of these resources (`nodes/proxy`) of one group. */
interface Right {
  readonly group: string;
  readonly resources: readonly string[];
  readonly verbs: readonly string[];
}

const RBAC = 'rbac.authorization.k8s.io';
const WEBHOOKS = ['validatingwebhookconfigurations', 'mutatingwebhookconfigurations'];

/** By the names that the table of controls has for them. */
const RIGHTS: Readonly<Record<string, readonly Right[]>> = {
  secrets: [{ group: '', resources: ['secrets'], verbs: ['get', 'list', 'watch'] }],
  pods: [{ group: '', resources: ['pods'], verbs: ['create'] }],
  escalation: [
    { group: RBAC, resources: ['roles', 'clusterroles'], verbs: ['bind', 'escalate'] },
    { group: '', resources: ['users', 'groups', 'serviceaccounts'], verbs: ['impersonate'] },
    { group: 'authentication.k8s.io', resources: ['uids', 'userextras'], verbs: ['impersonate'] },
  ],
  volumes: [{ group: '', resources: ['persistentvolumes'], verbs: ['create'] }],
  'node-proxy': [{ group: '', resources: ['nodes/proxy'], verbs: ['get', 'create'] }],
  approval: [
    {
      group: 'certificates.k8s.io',
      resources: ['certificatesigningrequests/approval'],
      verbs: ['update', 'patch'],
    },
  ],
  webhooks: [
    {
      group: 'admissionregistration.k8s.io',
      resources: WEBHOOKS,
      verbs: ['create', 'update', 'patch', 'delete'],
    },
  ],
  tokens: [{ group: '', resources: ['serviceaccounts/token'], verbs: ['create'] }],
};

/** Who besides the cluster's own components has a right. */
export function judgeRight(objects: Objects, name: string): Judgement {
  const rights = RIGHTS[name] ?? [];
  const holders = objects.bindings
    .filter((binding) =>
      rulesOf(objects, binding).some((rule) => rights.some((right) => grants(rule, right))),
    )
    .flatMap(({ subjects = [], metadata }) =>
      subjects.filter((subject) => !isOwn(subject)).map((one) => shownSubject(one, metadata)),
    );
  return unless(holders, 'None but components of the cluster may', 'These may');
}

/** Bindings to cluster-admin besides upstream's own. */
export function judgeAdministrators({ bindings }: Objects): Judgement {
  const found = bindings.filter(
    ({ roleRef, metadata }) =>
      roleRef.name === 'cluster-admin' && !ADMIN_BINDINGS.has(metadata.name),
  );
  return unless(
    found.map(({ metadata }) => placed(metadata)),
    "No binding but upstream's own and kubeadm's names it",
    'Bindings name it',
  );
}

/** Upstream's own, and kubeadm's of the administrators. */
const ADMIN_BINDINGS: ReadonlySet<string> = new Set(['cluster-admin', ADMINISTRATORS]);

/** Asterisks in roles that are not upstream's. */
export function judgeWildcards({ roles }: Objects): Judgement {
  const found = roles.filter(
    ({ metadata, rules }) =>
      metadata.labels?.['kubernetes.io/bootstrapping'] !== 'rbac-defaults' &&
      rules?.some(({ apiGroups, resources, verbs }) =>
        [apiGroups, resources, verbs].some((words) => words?.includes('*')),
      ),
  );
  return unless(
    found.map(({ metadata }) => placed(metadata)),
    "No role but upstream's own has any",
    'Roles have some',
  );
}

/** Whether a role was bound to this very account. */
export function hasRights({ bindings }: Objects, namespace: string, name: string): boolean {
  return bindings.some(({ subjects = [], metadata }) =>
    subjects.some(
      (subject) =>
        subject.kind === 'ServiceAccount' &&
        subject.name === name &&
        (subject.namespace ?? metadata.namespace) === namespace,
    ),
  );
}

function rulesOf({ roles }: Objects, { roleRef, metadata }: Binding): readonly Rule[] {
  const namespace = roleRef.kind === 'Role' ? metadata.namespace : '';
  const role = roles.find(
    ({ kind, metadata: own }) =>
      kind === roleRef.kind && own.name === roleRef.name && (own.namespace ?? '') === namespace,
  );
  return role?.rules ?? [];
}

/** A rule for objects of given names is as narrow as it can be. */
function grants(rule: Rule, { group, resources, verbs }: Right): boolean {
  if (rule.resourceNames?.length) return false;
  const has = (words: readonly string[] | undefined, wanted: readonly string[]): boolean =>
    words?.some((word) => word === '*' || wanted.includes(word)) ?? false;
  const wildcards = resources.map((name) => name.replace(/^[^/]+(?=\/)/, '*'));
  return (
    has(rule.apiGroups, [group]) &&
    has(rule.resources, [...resources, ...wildcards]) &&
    has(rule.verbs, verbs)
  );
}

const ANYBODY = /^system:(authenticated|unauthenticated|anonymous|serviceaccounts(:.*)?)$/;

/** A component of the cluster, by upstream's names. */
function isOwn({ kind, name, namespace }: Subject): boolean {
  if (kind === 'ServiceAccount') return namespace === 'kube-system';
  if (name.startsWith('system:serviceaccount:')) {
    return name.startsWith('system:serviceaccount:kube-system:');
  }
  // The API server towards kubelets, and the administrators, of whom another control tells; kubeadm's names.
  if (name === 'kube-apiserver-kubelet-client' || name === ADMINISTRATORS) return true;
  return name.startsWith('system:') && !ANYBODY.test(name);
}

function shownSubject({ kind, name, namespace }: Subject, binding: Binding['metadata']): string {
  if (kind !== 'ServiceAccount') return `${kind} ${name}`;
  return `${kind} ${namespace ?? binding.namespace}/${name}`;
}

function placed({ namespace, name }: { namespace?: string; name: string }): string {
  return namespace ? `${namespace}/${name}` : name;
}
