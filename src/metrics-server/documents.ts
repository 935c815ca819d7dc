import type { Usage } from './usage-store.ts';

export const GROUP = 'metrics.k8s.io';
export const VERSION = 'v1beta1';
export const GROUP_VERSION = `${GROUP}/${VERSION}`;

const version = { groupVersion: GROUP_VERSION, version: VERSION };

export const API_GROUP = {
  kind: 'APIGroup',
  apiVersion: 'v1',
  name: GROUP,
  versions: [version],
  preferredVersion: version,
};

export const API_GROUP_LIST = { kind: 'APIGroupList', apiVersion: 'v1', groups: [API_GROUP] };

export const API_RESOURCES = {
  kind: 'APIResourceList',
  apiVersion: 'v1',
  groupVersion: GROUP_VERSION,
  resources: [
    {
      name: 'nodes',
      singularName: '',
      namespaced: false,
      kind: 'NodeMetrics',
      verbs: ['get', 'list'],
    },
    {
      name: 'pods',
      singularName: '',
      namespaced: true,
      kind: 'PodMetrics',
      verbs: ['get', 'list'],
    },
  ],
};

/** Whose figures: what is shown of its metadata. */
export interface Subject {
  readonly name: string;
  readonly namespace?: string | undefined;
  readonly labels?: Readonly<Record<string, string>> | undefined;
}

export function nodeMetrics(subject: Subject, usage: Usage, now: number): object {
  return { ...envelope('NodeMetrics', subject, [usage], now), usage: quantities(usage) };
}

export function podMetrics(
  subject: Subject,
  usages: ReadonlyMap<string, Usage>,
  now: number,
): object {
  const containers = [...usages].map(([name, usage]) => ({ name, usage: quantities(usage) }));
  return { ...envelope('PodMetrics', subject, [...usages.values()], now), containers };
}

export function metricsList(kind: 'NodeMetrics' | 'PodMetrics', items: readonly object[]): object {
  return { kind: `${kind}List`, apiVersion: GROUP_VERSION, metadata: {}, items };
}

/** The oldest reading dates the whole. */
function envelope(kind: string, subject: Subject, usages: readonly Usage[], now: number): object {
  const { name, namespace, labels } = subject;
  const oldest = usages.reduce((a, b) => (b.at < a.at ? b : a));
  return {
    kind,
    apiVersion: GROUP_VERSION,
    metadata: {
      name,
      ...(namespace ? { namespace } : {}),
      creationTimestamp: seconds(now),
      ...(labels ? { labels } : {}),
    },
    timestamp: seconds(oldest.at),
    window: `${(oldest.windowMs / 1000).toFixed(3)}s`,
  };
}

const seconds = (ms: number): string => new Date(ms).toISOString().replace(/\.\d+Z$/, 'Z');

/** In the units that upstream's server answers with. */
function quantities({ cores, memoryBytes }: Usage): { cpu: string; memory: string } {
  return {
    cpu: `${Math.max(0, Math.round(cores * 1e9))}n`,
    memory: `${Math.round(memoryBytes / 1024)}Ki`,
  };
}
