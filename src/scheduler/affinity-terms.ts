import type { LabelSelector, Pod } from '../api/types.ts';
import type { PodAffinityTerm } from './parts.ts';
import { compileLabelSelector, type LabelMatcher, type Labels } from './selectors.ts';

/** Labels of a namespace by its name. */
export type NamespaceLabels = (namespace: string) => Labels;

/** A Pod (anti-)affinity term made ready. */
export interface AffinityTerm {
  readonly topologyKey: string;
  readonly namespaces: ReadonlySet<string>;
  readonly namespaceSelector: LabelMatcher | undefined;
  readonly selector: LabelMatcher;
}

export interface WeightedTerm {
  readonly weight: number;
  readonly term: AffinityTerm;
}

/** Whether a Pod is one of those that a term speaks of. */
export type Meets = (term: AffinityTerm, pod: Subject) => boolean;

/** What a term is asked about another Pod. */
interface Subject {
  readonly namespace: string;
  readonly labels: Labels;
}

/**
 * Reads a term of `owner`. Without namespaces and namespaceSelector it means the owner's own namespace;
 * matchLabelKeys and mismatchLabelKeys add the owner's values of these labels (KEP-3633). The API server
 * has merged them into the selector already; a Pod made before that counts all the same.
 */
export function compileTerm(term: PodAffinityTerm, owner: Pod): AffinityTerm {
  const namespaces = new Set(term.namespaces ?? []);
  if (namespaces.size === 0 && !term.namespaceSelector) namespaces.add(owner.metadata.namespace);
  return {
    topologyKey: term.topologyKey,
    namespaces,
    namespaceSelector: term.namespaceSelector
      ? compileLabelSelector(term.namespaceSelector)
      : undefined,
    selector: compileLabelSelector(withLabelKeys(term, owner)),
  };
}

function withLabelKeys(term: PodAffinityTerm, owner: Pod): LabelSelector | undefined {
  if (!term.labelSelector) return undefined;
  const labels = owner.metadata.labels ?? {};
  const expressions = [...(term.labelSelector.matchExpressions ?? [])];
  const add = (keys: readonly string[] | undefined, operator: 'In' | 'NotIn') => {
    for (const key of keys ?? []) {
      const value = labels[key];
      const present = expressions.some((e) => e.key === key && e.operator === operator);
      if (value !== undefined && !present) expressions.push({ key, operator, values: [value] });
    }
  };
  add(term.matchLabelKeys, 'In');
  add(term.mismatchLabelKeys, 'NotIn');
  return { ...term.labelSelector, matchExpressions: expressions };
}

export function termMatches(
  term: AffinityTerm,
  subject: Subject,
  namespaceLabels: NamespaceLabels,
): boolean {
  return (
    term.selector(subject.labels) &&
    (term.namespaces.has(subject.namespace) ||
      (term.namespaceSelector?.(namespaceLabels(subject.namespace)) ?? false))
  );
}
