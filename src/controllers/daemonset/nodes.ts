import { fitsNode } from '../../api/node-affinity.ts';
import type { DaemonSet, Node, PodSpec } from '../../api/types.ts';
import { type Toleration, tolerates } from '../taints.ts';

/** What every daemon Pod tolerates: daemons serve the node also when it is unwell (util.AddOrUpdateDaemonPodTolerations). */
export function daemonTolerations(spec: PodSpec): Toleration[] {
  const added: Toleration[] = [
    { key: 'node.kubernetes.io/not-ready', operator: 'Exists', effect: 'NoExecute' },
    { key: 'node.kubernetes.io/unreachable', operator: 'Exists', effect: 'NoExecute' },
    { key: 'node.kubernetes.io/disk-pressure', operator: 'Exists', effect: 'NoSchedule' },
    { key: 'node.kubernetes.io/memory-pressure', operator: 'Exists', effect: 'NoSchedule' },
    { key: 'node.kubernetes.io/pid-pressure', operator: 'Exists', effect: 'NoSchedule' },
    { key: 'node.kubernetes.io/unschedulable', operator: 'Exists', effect: 'NoSchedule' },
  ];
  if (spec.hostNetwork) {
    const key = 'node.kubernetes.io/network-unavailable';
    added.push({ key, operator: 'Exists', effect: 'NoSchedule' });
  }
  const own = spec.tolerations ?? [];
  const isNew = (toleration: Toleration) =>
    !own.some(
      (o) => o.key === toleration.key && o.effect === toleration.effect && o.operator === 'Exists',
    );
  return [...own, ...added.filter(isNew)];
}

/** Whether a daemon Pod should run on a node, and whether one that is there may stay. Pure. */
export function placement(set: DaemonSet, node: Node): { run: boolean; stay: boolean } {
  const spec = set.spec?.template.spec;
  if (!spec) return { run: false, stay: false };
  if (spec.nodeName && spec.nodeName !== node.metadata.name) return { run: false, stay: false };
  if (!fitsNode(spec, node)) return { run: false, stay: false };
  const tolerations = daemonTolerations(spec);
  const untolerated = (effect: string) =>
    (node.spec?.taints ?? []).some(
      (taint) => taint.effect === effect && !tolerations.some((t) => tolerates(t, taint)),
    );
  const evicted = untolerated('NoExecute');
  return { run: !evicted && !untolerated('NoSchedule'), stay: !evicted };
}

/** Binds a Pod to one node through the scheduler: an affinity for its name in every term. */
export function withNodeAffinity(spec: PodSpec, nodeName: string): PodSpec {
  const field = { key: 'metadata.name', operator: 'In', values: [nodeName] };
  const nodeAffinity = spec.affinity?.nodeAffinity;
  const terms =
    nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution?.nodeSelectorTerms ?? [];
  const nodeSelectorTerms =
    terms.length === 0
      ? [{ matchFields: [field] }]
      : terms.map((term) => ({ ...term, matchFields: [field] }));
  const required = { requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms } };
  return {
    ...spec,
    affinity: { ...spec.affinity, nodeAffinity: { ...nodeAffinity, ...required } },
  };
}

/** The node that a daemon Pod is on, or meant for. */
export function targetNode(spec: PodSpec | undefined): string {
  if (spec?.nodeName) return spec.nodeName;
  const required = spec?.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution;
  for (const { matchFields = [] } of required?.nodeSelectorTerms ?? []) {
    const field = matchFields.find(({ key }) => key === 'metadata.name');
    if (field?.values?.[0] !== undefined) return field.values[0];
  }
  return '';
}
