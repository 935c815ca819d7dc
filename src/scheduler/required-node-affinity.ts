import type { NodeSelector } from './parts.ts';
import type { PodInfo } from './pod-info.ts';
import { compileMatchLabels, compileNodeSelector, type NodeMatcher } from './selectors.ts';

export function requiredNodeSelector(pod: PodInfo): NodeSelector | undefined {
  return pod.pod.spec?.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution;
}

/** nodeSelector and required node affinity as one question; undefined when the Pod has neither. */
export function requiredNodeMatcher(pod: PodInfo): NodeMatcher | undefined {
  const { nodeSelector } = pod.pod.spec ?? {};
  const required = requiredNodeSelector(pod);
  const labelsMatch = nodeSelector ? compileMatchLabels(nodeSelector) : undefined;
  const nodeMatches = required ? compileNodeSelector(required) : undefined;
  if (!labelsMatch) return nodeMatches;
  return (node) => labelsMatch(node.metadata.labels ?? {}) && (nodeMatches?.(node) ?? true);
}
