import type { Node, PodSpec } from '../api/types.ts';

// Names for the parts of a Pod and a node that scheduling looks at.
export type Affinity = NonNullable<PodSpec['affinity']>;
export type NodeAffinityRules = NonNullable<Affinity['nodeAffinity']>;
export type NodeSelector = NonNullable<
  NodeAffinityRules['requiredDuringSchedulingIgnoredDuringExecution']
>;
export type NodeSelectorTerm = NodeSelector['nodeSelectorTerms'][number];
export type PreferredNodeTerm = NonNullable<
  NodeAffinityRules['preferredDuringSchedulingIgnoredDuringExecution']
>[number];
export type PodAffinityTerm = NonNullable<
  NonNullable<Affinity['podAffinity']>['requiredDuringSchedulingIgnoredDuringExecution']
>[number];
export type SpreadConstraint = NonNullable<PodSpec['topologySpreadConstraints']>[number];
export type Toleration = NonNullable<PodSpec['tolerations']>[number];
export type Taint = NonNullable<NonNullable<Node['spec']>['taints']>[number];
export type TaintEffect = 'NoSchedule' | 'PreferNoSchedule' | 'NoExecute';
