import type { Node, Pod, PodSpec } from '../../src/api/types.ts';

/** One of upstream's scheduler_perf workloads: made-up nodes, Pods that are there first, Pods that are measured. */
export interface Workload {
  readonly name: string;
  readonly nodes: number;
  readonly initPods: number;
  readonly pods: number;
  /** Pods per second that upstream's CI demands; undefined where it sets none. */
  readonly threshold: number | undefined;
  readonly node?: (i: number) => Partial<Node['metadata']>;
  readonly initPod: (i: number) => Pod;
  readonly pod: (i: number) => Pod;
  /** Pods that never fit anywhere and wait all the time. */
  readonly backlog?: { readonly count: number; readonly pod: (i: number) => Pod };
  /** Every so many measured Pods a node comes and goes. */
  readonly churn?: boolean;
}

const ZONES = ['zone1', 'zone2', 'zone3'];
let uids = 0;

export function benchNode(i: number): Node {
  return {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: {
      name: `node-${i}`,
      namespace: '',
      uid: `node-uid-${i}`,
      resourceVersion: '1',
      creationTimestamp: '2026-01-01T00:00:00Z',
      labels: {
        'kubernetes.io/hostname': `node-${i}`,
        'topology.kubernetes.io/zone': ZONES[i % ZONES.length] ?? '',
      },
    },
    spec: {},
    status: { allocatable: { cpu: '4', memory: '32Gi', pods: '110' } },
  };
}

interface Shape {
  readonly namespace?: string;
  readonly labels?: Record<string, string>;
  readonly spec?: Partial<PodSpec>;
  readonly cpu?: string;
}

export function benchPod(name: string, shape: Shape = {}): Pod {
  const { namespace = 'default', labels = {}, spec = {}, cpu = '100m' } = shape;
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      ...{ name, namespace, labels, uid: `pod-uid-${++uids}`, resourceVersion: '1' },
      creationTimestamp: '2026-01-01T00:00:00Z',
    },
    spec: {
      schedulerName: 'default-scheduler',
      terminationGracePeriodSeconds: 0,
      containers: [
        {
          name: 'pause',
          image: 'localhost/k8ts/pause:1',
          ports: [{ containerPort: 80 }],
          resources: {
            limits: { cpu, memory: '500Mi' },
            requests: { cpu, memory: '500Mi' },
          },
        },
      ],
      ...spec,
    },
    status: { phase: 'Pending' },
  };
}

type AffinityKind = 'podAffinity' | 'podAntiAffinity';

function podRule(kind: AffinityKind, topologyKey: string, required: boolean): Partial<PodSpec> {
  const term = {
    labelSelector: { matchLabels: { color: 'blue' } },
    topologyKey,
    namespaces: ['sched-1', 'sched-0'],
  };
  const rule = required
    ? { requiredDuringSchedulingIgnoredDuringExecution: [term] }
    : { preferredDuringSchedulingIgnoredDuringExecution: [{ weight: 1, podAffinityTerm: term }] };
  return { affinity: { [kind]: rule } };
}

const BLUE = { color: 'blue' };
const HOST = 'kubernetes.io/hostname';
const ZONE = 'topology.kubernetes.io/zone';

function plain(namespace: string): (i: number) => Pod {
  return (i) => benchPod(`${namespace}-${i}`, { namespace });
}

function ruled(namespace: string, spec: Partial<PodSpec>, labels = BLUE): (i: number) => Pod {
  return (i) => benchPod(`${namespace}-${i}`, { namespace, labels, spec });
}

const ONE_ZONE = { node: () => ({ labels: { [ZONE]: 'zone1' } }) };
const SPREAD: Partial<PodSpec> = {
  topologySpreadConstraints: [
    {
      maxSkew: 5,
      topologyKey: ZONE,
      whenUnsatisfiable: 'DoNotSchedule',
      labelSelector: { matchLabels: BLUE },
    },
  ],
};
const NODE_AFFINITY: Partial<PodSpec> = {
  affinity: {
    nodeAffinity: {
      requiredDuringSchedulingIgnoredDuringExecution: {
        nodeSelectorTerms: [
          { matchExpressions: [{ key: ZONE, operator: 'In', values: ['zone1', 'zone2'] }] },
        ],
      },
    },
  },
};

function daemon(i: number): Pod {
  const values = [`node-${i % 15_000}`];
  const matchFields = [{ key: 'metadata.name', operator: 'In', values }];
  const terms = { nodeSelectorTerms: [{ matchFields }] };
  const nodeAffinity = { requiredDuringSchedulingIgnoredDuringExecution: terms };
  return benchPod(`daemon-${i}`, { spec: { affinity: { nodeAffinity } } });
}

function basic(nodes: number, pods: number, threshold?: number): Workload {
  return {
    ...{
      name: `basic ${nodes} nodes`,
      nodes,
      initPods: nodes === 5000 ? 1000 : nodes,
      pods,
      threshold,
    },
    initPod: plain('sched-0'),
    pod: plain('sched-1'),
  };
}

/** Nodes, Pods and thresholds as in upstream's performance configurations. */
export const WORKLOADS: readonly Workload[] = [
  basic(100, 1000),
  basic(500, 1000),
  basic(1000, 1000),
  { ...basic(5000, 10_000, 680), initPods: 1000 },
  {
    ...{ name: 'anti-affinity', nodes: 5000, initPods: 1000, pods: 1000, threshold: 60 },
    initPod: ruled('sched-0', podRule('podAntiAffinity', HOST, true), { color: 'green' } as never),
    pod: ruled('sched-1', podRule('podAntiAffinity', HOST, true), { color: 'green' } as never),
  },
  {
    ...{ name: 'affinity', nodes: 5000, initPods: 5000, pods: 1000, threshold: 35, ...ONE_ZONE },
    initPod: ruled('sched-0', podRule('podAffinity', ZONE, true)),
    pod: ruled('sched-1', podRule('podAffinity', ZONE, true)),
  },
  {
    ...{ name: 'preferred affinity', nodes: 5000, initPods: 5000, pods: 1000, threshold: 90 },
    initPod: ruled('sched-0', podRule('podAffinity', HOST, false)),
    pod: ruled('sched-1', podRule('podAffinity', HOST, false)),
  },
  {
    ...{ name: 'preferred anti-affinity', nodes: 5000, initPods: 5000, pods: 1000, threshold: 90 },
    initPod: ruled('sched-0', podRule('podAntiAffinity', HOST, false)),
    pod: ruled('sched-1', podRule('podAntiAffinity', HOST, false)),
  },
  {
    ...{ name: 'topology spread', nodes: 5000, initPods: 5000, pods: 2000, threshold: 85 },
    initPod: plain('sched-0'),
    pod: ruled('sched-1', SPREAD),
  },
  {
    ...{ name: 'node affinity', nodes: 5000, initPods: 5000, pods: 10_000, threshold: 220 },
    initPod: ruled('sched-0', NODE_AFFINITY),
    pod: ruled('sched-1', NODE_AFFINITY),
  },
  {
    ...{ name: 'preemption', nodes: 500, initPods: 2000, pods: 500, threshold: 200 },
    initPod: (i) => benchPod(`low-${i}`, { cpu: '900m' }),
    pod: (i) => benchPod(`high-${i}`, { cpu: '3000m', spec: { priority: 10 } }),
  },
  {
    ...{ name: 'unschedulable backlog', nodes: 5000, initPods: 0, pods: 10_000, threshold: 590 },
    initPod: plain('sched-0'),
    pod: plain('sched-1'),
    backlog: { count: 200, pod: (i) => benchPod(`huge-${i}`, { cpu: '9' }) },
  },
  {
    ...{ name: 'mixed churn', nodes: 5000, initPods: 0, pods: 10_000, threshold: 710, churn: true },
    initPod: plain('sched-0'),
    pod: plain('sched-1'),
    backlog: { count: 200, pod: (i) => benchPod(`huge-${i}`, { cpu: '9' }) },
  },
  {
    ...{ name: 'gated backlog', nodes: 5000, initPods: 0, pods: 10_000, threshold: 910 },
    initPod: plain('sched-0'),
    pod: plain('sched-1'),
    backlog: {
      count: 10_000,
      pod: (i) => benchPod(`gated-${i}`, { spec: { schedulingGates: [{ name: 'wait' }] } }),
    },
  },
  {
    ...{ name: 'daemon set', nodes: 15_000, initPods: 0, pods: 30_000, threshold: 1100 },
    initPod: plain('sched-0'),
    pod: daemon,
  },
];
