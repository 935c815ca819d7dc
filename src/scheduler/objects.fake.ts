import type { Node, Pod, PodSpec } from '../api/types.ts';
import { PodInfo } from './pod-info.ts';

interface NodeSize {
  readonly cpu?: string;
  readonly memory?: string;
  readonly pods?: string;
  readonly labels?: Record<string, string>;
  readonly [resource: string]: unknown;
}

let uids = 0;

/** A node of that size; 4 cores, 16 GiB and 110 Pods where nothing is said. */
export function makeNode(name: string, size: NodeSize = {}): Node {
  const { labels, ...resources } = size;
  const allocatable = { cpu: '4', memory: '16Gi', pods: '110', ...resources };
  return {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: {
      name,
      namespace: '',
      uid: `node-${name}`,
      resourceVersion: '1',
      creationTimestamp: '2026-01-01T00:00:00Z',
      labels: { 'kubernetes.io/hostname': name, ...labels },
    },
    spec: {},
    status: { allocatable: allocatable as Record<string, string> },
  };
}

interface PodShape {
  readonly namespace?: string;
  readonly cpu?: string;
  readonly memory?: string;
  readonly labels?: Record<string, string>;
  readonly spec?: Partial<PodSpec>;
  readonly nodeName?: string;
  readonly schedulerName?: string;
  readonly priority?: number;
}

/** A Pod with one container. */
export function makePod(name: string, shape: PodShape = {}): Pod {
  const { namespace = 'default', cpu, memory, labels, spec, ...rest } = shape;
  const requests = { ...(cpu ? { cpu } : {}), ...(memory ? { memory } : {}) };
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name,
      namespace,
      uid: `pod-${++uids}`,
      resourceVersion: '1',
      creationTimestamp: '2026-01-01T00:00:00Z',
      generation: 1,
      ...(labels ? { labels } : {}),
    },
    spec: {
      containers: [{ name: 'main', image: 'pause', resources: { requests } }],
      schedulerName: 'default-scheduler',
      ...rest,
      ...spec,
    },
    status: { phase: 'Pending' },
  };
}

export function podInfo(name: string, shape: PodShape = {}): PodInfo {
  return new PodInfo(makePod(name, shape));
}
