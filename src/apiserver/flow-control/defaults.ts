import type { KubeObject } from '../../api/types.ts';

const API = 'flowcontrol.apiserver.k8s.io/v1';
/** Says that the server may bring the object up to date. */
export const AUTO_UPDATE = 'apf.kubernetes.io/autoupdate-spec';

type Queuing = readonly [queues: number, handSize: number, queueLengthLimit: number];

function level(
  name: string,
  shares: number,
  { lendable = 0, queuing }: { lendable?: number; queuing?: Queuing },
): KubeObject {
  const [queues, handSize, queueLengthLimit] = queuing ?? [];
  return flowObject('PriorityLevelConfiguration', name, {
    type: 'Limited',
    limited: {
      nominalConcurrencyShares: shares,
      lendablePercent: lendable,
      limitResponse: queuing
        ? { type: 'Queue', queuing: { queues, handSize, queueLengthLimit } }
        : { type: 'Reject' },
    },
  });
}

function flowObject(kind: string, name: string, spec: object): KubeObject {
  const annotations = { [AUTO_UPDATE]: 'true' };
  return { apiVersion: API, kind, metadata: { name, annotations }, spec };
}

/** Upstream's priority levels (apiserver flowcontrol bootstrap default.go): shares, what may be lent, queues. */
export const DEFAULT_PRIORITY_LEVELS: readonly KubeObject[] = [
  flowObject('PriorityLevelConfiguration', 'exempt', {
    type: 'Exempt',
    exempt: { nominalConcurrencyShares: 0, lendablePercent: 0 },
  }),
  level('catch-all', 5, {}),
  level('system', 30, { lendable: 33, queuing: [64, 6, 50] }),
  level('node-high', 40, { lendable: 25, queuing: [64, 6, 50] }),
  level('leader-election', 10, { queuing: [16, 4, 50] }),
  level('workload-high', 40, { lendable: 50, queuing: [128, 6, 50] }),
  level('workload-low', 100, { lendable: 90, queuing: [128, 6, 50] }),
  level('global-default', 20, { lendable: 50, queuing: [128, 6, 50] }),
];

const user = (name: string) => ({ kind: 'User', user: { name } });
const group = (name: string) => ({ kind: 'Group', group: { name } });
const account = (namespace: string, name: string) => ({
  kind: 'ServiceAccount',
  serviceAccount: { namespace, name },
});
const resources = (
  apiGroups: string[],
  names: string[],
  { verbs = ['*'], namespaces = ['*'], clusterScope = true } = {},
) => ({
  verbs,
  apiGroups,
  resources: names,
  namespaces,
  ...(clusterScope ? { clusterScope } : {}),
});
const urls = (...nonResourceURLs: string[]) => ({ verbs: ['*'], nonResourceURLs });
const EVERYTHING = {
  resourceRules: [resources(['*'], ['*'])],
  nonResourceRules: [urls('*')],
};
const LEASES = resources(['coordination.k8s.io'], ['leases'], {
  verbs: ['get', 'create', 'update'],
  clusterScope: false,
});
const EVERYBODY = [group('system:unauthenticated'), group('system:authenticated')];

function schema(
  name: string,
  place: readonly [precedence: number, level: string, by?: 'ByUser' | 'ByNamespace'],
  rules: object[],
): KubeObject {
  const [matchingPrecedence, priorityLevel, by] = place;
  return flowObject('FlowSchema', name, {
    matchingPrecedence,
    priorityLevelConfiguration: { name: priorityLevel },
    ...(by ? { distinguisherMethod: { type: by } } : {}),
    rules,
  });
}

/** Upstream's flow schemas. */
export const DEFAULT_FLOW_SCHEMAS: readonly KubeObject[] = [
  schema('exempt', [1, 'exempt'], [{ subjects: [group('system:masters')], ...EVERYTHING }]),
  schema(
    'probes',
    [2, 'exempt'],
    [
      {
        subjects: EVERYBODY,
        nonResourceRules: [{ verbs: ['get'], nonResourceURLs: ['/healthz', '/readyz', '/livez'] }],
      },
    ],
  ),
  schema(
    'system-leader-election',
    [100, 'leader-election', 'ByUser'],
    [
      {
        subjects: [
          user('system:kube-controller-manager'),
          user('system:kube-scheduler'),
          account('kube-system', '*'),
        ],
        resourceRules: [LEASES],
      },
    ],
  ),
  schema(
    'endpoint-controller',
    [150, 'workload-high', 'ByUser'],
    [
      {
        subjects: [
          user('system:kube-controller-manager'),
          account('kube-system', 'endpoint-controller'),
          account('kube-system', 'endpointslicemirroring-controller'),
        ],
        resourceRules: [
          resources([''], ['endpoints'], {
            verbs: ['get', 'create', 'update'],
            clusterScope: false,
          }),
        ],
      },
    ],
  ),
  schema(
    'workload-leader-election',
    [200, 'leader-election', 'ByUser'],
    [{ subjects: [account('kube-system', '*')], resourceRules: [LEASES] }],
  ),
  schema(
    'system-node-high',
    [400, 'node-high', 'ByUser'],
    [
      {
        subjects: [group('system:nodes')],
        resourceRules: [
          resources([''], ['nodes', 'nodes/status']),
          resources(['coordination.k8s.io'], ['leases'], { clusterScope: false }),
        ],
      },
    ],
  ),
  schema(
    'system-nodes',
    [500, 'system', 'ByUser'],
    [{ subjects: [group('system:nodes')], ...EVERYTHING }],
  ),
  schema(
    'kube-controller-manager',
    [800, 'workload-high', 'ByNamespace'],
    [{ subjects: [user('system:kube-controller-manager')], ...EVERYTHING }],
  ),
  schema(
    'kube-scheduler',
    [800, 'workload-high', 'ByNamespace'],
    [{ subjects: [user('system:kube-scheduler')], ...EVERYTHING }],
  ),
  schema(
    'kube-system-service-accounts',
    [900, 'workload-high', 'ByNamespace'],
    [{ subjects: [account('kube-system', '*')], ...EVERYTHING }],
  ),
  schema(
    'service-accounts',
    [9000, 'workload-low', 'ByUser'],
    [{ subjects: [group('system:serviceaccounts')], ...EVERYTHING }],
  ),
  schema(
    'global-default',
    [9900, 'global-default', 'ByUser'],
    [{ subjects: EVERYBODY, ...EVERYTHING }],
  ),
  schema('catch-all', [10_000, 'catch-all', 'ByUser'], [{ subjects: EVERYBODY, ...EVERYTHING }]),
];
