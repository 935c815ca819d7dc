import { isAlreadyExists, isNotFound } from '../../api/errors.ts';
import type { KubeObject } from '../../api/types.ts';
import type { Clock } from '../../util/clock.ts';
import type { KindRegistry } from '../kind-registry.ts';
import type { ResourceKind, WriteContext } from '../resource-kind.ts';
import type { ResourceStore } from '../resource-store.ts';
import { BOOTSTRAP_POLICY } from './bootstrap-policy-table.ts';
import { type PolicyRule, type Subject, subjectKey, uncovered } from './policy-rule.ts';

const GROUP = 'rbac.authorization.k8s.io';
const AUTOUPDATE = 'rbac.authorization.kubernetes.io/autoupdate';
const BOOTSTRAPPING = { 'kubernetes.io/bootstrapping': 'rbac-defaults' };
const AGGREGATE_TO = 'rbac.authorization.k8s.io/aggregate-to-';
const SERVER = { name: 'system:apiserver', groups: ['system:masters'] };

export interface PolicyObject extends KubeObject {
  rules?: PolicyRule[];
  roleRef?: { apiGroup: string; kind: string; name: string };
  subjects?: Subject[];
}

/**
 * The roles and bindings that every cluster has (upstream's bootstrap policy), and those of
 * this project's own components: its DNS is no Pod, and it makes volumes on nodes.
 */
export function bootstrapPolicy(): PolicyObject[] {
  const lines = BOOTSTRAP_POLICY.trimEnd().split('\n');
  const objects = lines.map((line) => policyObject(line.split('\t')));
  for (const role of objects) if ('aggregationRule' in role) aggregate(role, objects);
  return [...objects, ...OWN_POLICY.map(policyObject)];
}

/** The role of the controller whose API is served only where it is asked for: it may write whatever there is. */
export function optionalPolicy(kinds: KindRegistry): PolicyObject[] {
  return kinds.hasGroupVersion(MIGRATIONS, 'v1beta1') ? MIGRATOR_POLICY.map(policyObject) : [];
}

function policyObject(cells: readonly string[]): PolicyObject {
  const [kind = '', namespace = '', name = '', aggregateTo, aggregatedFrom, rules, role, subjects] =
    cells;
  const object: PolicyObject = {
    apiVersion: `${GROUP}/v1`,
    kind,
    metadata: {
      name,
      ...(namespace ? { namespace } : {}),
      labels: {
        ...BOOTSTRAPPING,
        ...(aggregateTo ? { [AGGREGATE_TO + aggregateTo]: 'true' } : {}),
      },
      annotations: { [AUTOUPDATE]: 'true' },
    },
  };
  if (kind.endsWith('Binding')) {
    const isCluster = kind === 'ClusterRoleBinding';
    object.roleRef = {
      apiGroup: GROUP,
      kind: isCluster ? 'ClusterRole' : 'Role',
      name: role ?? '',
    };
    object.subjects = list(subjects, ' ; ').map(parseSubject);
    return object;
  }
  object.rules = list(rules, ' ; ').map(parseRule);
  if (aggregatedFrom) {
    object.aggregationRule = {
      clusterRoleSelectors: list(aggregatedFrom, ',').map((from) => ({
        matchLabels: { [AGGREGATE_TO + from]: 'true' },
      })),
    };
  }
  return object;
}

function list(text: string | undefined, separator: string): string[] {
  return text ? text.split(separator) : [];
}

/** `GROUPS|RESOURCES|VERBS[|NAMES]` or `url:PATHS|VERBS`; the core group is written `""`. */
function parseRule(text: string): PolicyRule {
  const [first = '', second = '', third = '', names] = text.split('|');
  if (first.startsWith('url:')) {
    return { verbs: second.split(','), nonResourceURLs: first.slice('url:'.length).split(',') };
  }
  return {
    verbs: third.split(','),
    apiGroups: first.split(',').map((group) => (group === '""' ? '' : group)),
    resources: second.split(','),
    ...(names ? { resourceNames: names.split(',') } : {}),
  };
}

/** `user:NAME`, `group:NAME` or `sa:NAMESPACE/NAME`. */
function parseSubject(text: string): Subject {
  const at = text.indexOf(':');
  const name = text.slice(at + 1);
  switch (text.slice(0, at)) {
    case 'sa': {
      const [namespace = '', account = ''] = name.split('/');
      return { kind: 'ServiceAccount', name: account, namespace };
    }
    case 'group':
      return { apiGroup: GROUP, kind: 'Group', name };
    default:
      return { apiGroup: GROUP, kind: 'User', name };
  }
}

/** What the aggregation controller would make of a role: it has its rules before that controller runs. */
function aggregate(role: PolicyObject, all: readonly PolicyObject[]): void {
  const { clusterRoleSelectors } = role.aggregationRule as {
    clusterRoleSelectors: { matchLabels: Record<string, string> }[];
  };
  const wanted = clusterRoleSelectors.flatMap(({ matchLabels }) => Object.keys(matchLabels));
  const parts = all.filter(({ metadata }) => wanted.some((label) => metadata.labels?.[label]));
  for (const part of parts) if ('aggregationRule' in part) aggregate(part, all);
  role.rules = parts.flatMap(({ rules = [] }) => rules);
}

const DNS = 'system:coredns';
const POLICIES = 'k8ts:network-policy';
const KUBELET_CLIENT = 'kube-apiserver-kubelet-client';
const SERVING_APPROVER = 'system:controller:kubelet-serving-approver';
const LOCAL_PATH = 'system:controller:local-path-provisioner';
const PUBLISHER = 'system:controller:kube-apiserver-serving-clustertrustbundle-publisher';
const MIGRATIONS = 'storagemigration.k8s.io';
const MIGRATOR = 'system:controller:storage-version-migrator-controller';

const MIGRATOR_POLICY: readonly (readonly string[])[] = [
  [
    'ClusterRole',
    '',
    MIGRATOR,
    '',
    '',
    `*|*|create,list,patch ; ${MIGRATIONS}|storageversionmigrations|get,list,watch ; ${MIGRATIONS}|storageversionmigrations/status|patch,update ; apiextensions.k8s.io|customresourcedefinitions|get ; apiextensions.k8s.io|customresourcedefinitions/status|patch,update`,
  ],
  [
    'ClusterRoleBinding',
    '',
    MIGRATOR,
    '',
    '',
    '',
    MIGRATOR,
    'sa:kube-system/storage-version-migrator-controller',
  ],
];

/** Roles and bindings of parts that upstream has not; cells as in the table of upstream's. */
const OWN_POLICY: readonly (readonly string[])[] = [
  // Approves what kubelets serve with.
  [
    'ClusterRole',
    '',
    SERVING_APPROVER,
    '',
    '',
    '""|nodes|get,list,watch ; certificates.k8s.io|certificatesigningrequests|get,list,watch ; certificates.k8s.io|certificatesigningrequests/approval|update ; certificates.k8s.io|signers|approve|kubernetes.io/kubelet-serving ; "",events.k8s.io|events|create,patch,update',
  ],
  [
    'ClusterRoleBinding',
    '',
    SERVING_APPROVER,
    '',
    '',
    '',
    SERVING_APPROVER,
    'sa:kube-system/kubelet-serving-approver',
  ],
  [
    'ClusterRole',
    '',
    DNS,
    '',
    '',
    '""|endpoints,services,pods,namespaces|list,watch ; discovery.k8s.io|endpointslices|list,watch',
  ],
  ['ClusterRoleBinding', '', `k8ts:${DNS}:${DNS}`, '', '', '', DNS, `user:${DNS}`],
  // What the proxy needs besides, to enforce network policies.
  [
    'ClusterRole',
    '',
    POLICIES,
    '',
    '',
    '""|pods,namespaces|list,watch ; networking.k8s.io|networkpolicies|list,watch',
  ],
  ['ClusterRoleBinding', '', POLICIES, '', '', '', POLICIES, 'user:system:kube-proxy'],
  // How this server comes to the kubelets: allowed what they offer, and nothing else.
  [
    'ClusterRoleBinding',
    '',
    `k8ts:${KUBELET_CLIENT}`,
    '',
    '',
    '',
    'system:kubelet-api-admin',
    `user:${KUBELET_CLIENT}`,
  ],
  // Upstream has it where the feature gate ClusterTrustBundle is on.
  [
    'ClusterRole',
    '',
    PUBLISHER,
    '',
    '',
    'certificates.k8s.io|signers|attest|kubernetes.io/kube-apiserver-serving ; certificates.k8s.io|clustertrustbundles|create,delete,list,update,watch ; "",events.k8s.io|events|create,patch,update',
  ],
  [
    'ClusterRoleBinding',
    '',
    PUBLISHER,
    '',
    '',
    '',
    PUBLISHER,
    'sa:kube-system/kube-apiserver-serving-clustertrustbundle-publisher',
  ],
  [
    'ClusterRole',
    '',
    LOCAL_PATH,
    '',
    '',
    '""|persistentvolumes|create,delete,update ; ""|persistentvolumeclaims|update ; ""|pods|create,delete ; storage.k8s.io|storageclasses|create',
  ],
  [
    'ClusterRoleBinding',
    '',
    LOCAL_PATH,
    '',
    '',
    '',
    LOCAL_PATH,
    'sa:kube-system/local-path-provisioner',
  ],
];

/**
 * Creates what is missing and gives back what default roles and bindings lost, except where the administrator
 * switched that off (annotation autoupdate=false). What was added to them stays.
 */
export async function reconcilePolicy(
  policy: readonly PolicyObject[],
  deps: { kinds: KindRegistry; store: ResourceStore; clock: Clock },
): Promise<void> {
  const context: WriteContext = {
    user: SERVER,
    dryRun: false,
    now: deps.clock.now(),
    warn: () => {},
  };
  // At once: the store commits them together.
  await Promise.all(
    policy.map(async (wanted) => {
      const kind = deps.kinds.get(GROUP, 'v1', `${wanted.kind.toLowerCase()}s`);
      if (kind) await reconcile(kind, wanted, deps.store, context);
    }),
  );
}

async function reconcile(
  kind: ResourceKind,
  wanted: PolicyObject,
  store: ResourceStore,
  context: WriteContext,
): Promise<void> {
  const { name = '', namespace = '' } = wanted.metadata;
  const key = { name, namespace };
  try {
    const { object } = await store.read(kind, key);
    if (repaired(object, wanted) === undefined) return;
    const change = (current: KubeObject) => repaired(current, wanted) ?? current;
    const { strategy } = kind;
    await store.update(kind, key, { strategy, subresource: '', change, isPatch: true }, context);
  } catch (err) {
    if (!isNotFound(err)) throw err;
    await store.create(kind, structuredClone(wanted), context).catch((failed) => {
      if (!isAlreadyExists(failed)) throw failed;
    });
  }
}

/** The object with what it lacks; undefined when it lacks nothing. */
function repaired(current: PolicyObject, wanted: PolicyObject): PolicyObject | undefined {
  if (current.metadata.annotations?.[AUTOUPDATE] === 'false') return undefined;
  const lost =
    'aggregationRule' in wanted ? [] : uncovered(current.rules ?? [], wanted.rules ?? []);
  const namespace = wanted.metadata.namespace ?? '';
  const known = new Set((current.subjects ?? []).map((s) => subjectKey(s, namespace)));
  const missing = (wanted.subjects ?? []).filter((s) => !known.has(subjectKey(s, namespace)));
  if (lost.length === 0 && missing.length === 0) return undefined;
  return {
    ...current,
    ...(wanted.rules ? { rules: [...(current.rules ?? []), ...lost] } : {}),
    ...(wanted.subjects ? { subjects: [...(current.subjects ?? []), ...missing] } : {}),
  };
}
