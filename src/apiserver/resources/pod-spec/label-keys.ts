import { type FieldError, forbidden, invalid } from '../../../api/field-errors.ts';
import { qualifiedName } from '../../../api/names.ts';
import type { LabelSelector, Pod } from '../../../api/types.ts';
import { checked, each } from '../validation.ts';

/** What affinity terms and topology spread constraints say of labels whose values the Pod itself gives. */
interface LabelKeys {
  labelSelector?: LabelSelector | undefined;
  matchLabelKeys?: string[] | undefined;
  mismatchLabelKeys?: string[] | undefined;
}

/**
 * Writes the Pod's own values of matchLabelKeys and mismatchLabelKeys into the selectors, once, when it is made: later
 * changes of its labels change no rule (KEP-3633, KEP-3243).
 */
export function mergeLabelKeys({ metadata, spec }: Pod): void {
  const labels = metadata.labels ?? {};
  for (const affinity of [spec?.affinity?.podAffinity, spec?.affinity?.podAntiAffinity]) {
    for (const term of affinity?.requiredDuringSchedulingIgnoredDuringExecution ?? []) {
      merge(term, labels);
    }
    for (const wish of affinity?.preferredDuringSchedulingIgnoredDuringExecution ?? []) {
      merge(wish.podAffinityTerm, labels);
    }
  }
  for (const constraint of spec?.topologySpreadConstraints ?? []) merge(constraint, labels);
}

function merge(rule: LabelKeys, labels: Readonly<Record<string, string>>): void {
  const selector = rule.labelSelector;
  if (!selector) return; // selects nothing, whatever is added
  const add = (keys: readonly string[] = [], operator: string) => {
    for (const key of keys) {
      const value = labels[key];
      if (value === undefined) continue;
      selector.matchExpressions ??= [];
      selector.matchExpressions.push({ key, operator, values: [value] });
    }
  };
  add(rule.matchLabelKeys, 'In');
  add(rule.mismatchLabelKeys, 'NotIn');
}

export function validateLabelKeys(rule: LabelKeys, path: string): FieldError[] {
  const { labelSelector, matchLabelKeys = [], mismatchLabelKeys = [] } = rule;
  return [
    ...validateKeys(matchLabelKeys, labelSelector, `${path}.matchLabelKeys`),
    ...validateKeys(mismatchLabelKeys, labelSelector, `${path}.mismatchLabelKeys`),
    ...namedTwice(matchLabelKeys, labelSelector, path),
    ...each(matchLabelKeys, `${path}.matchLabelKeys`, (key, at) =>
      mismatchLabelKeys.includes(key)
        ? [invalid(at, key, 'exists in both matchLabelKeys and mismatchLabelKeys')]
        : [],
    ),
  ];
}

function validateKeys(
  keys: readonly string[],
  selector: LabelSelector | undefined,
  path: string,
): FieldError[] {
  if (keys.length === 0) return [];
  if (!selector) return [forbidden(path, 'must not be specified when labelSelector is not set')];
  return each(keys, path, (key, at) => checked(key, qualifiedName, at));
}

/**
 * A key that the selector names beside the expression that was merged into it. Pods come here merged, templates do not:
 * those are refused for what is wrong in any case. The path is upstream's.
 */
function namedTwice(
  keys: readonly string[],
  selector: LabelSelector | undefined,
  path: string,
): FieldError[] {
  const out: FieldError[] = [];
  const seen = new Set(Object.keys(selector?.matchLabels ?? {}));
  for (const { key } of selector?.matchExpressions ?? []) {
    const at = keys.lastIndexOf(key);
    if (at >= 0 && seen.has(key)) {
      out.push(invalid(`${path}[${at}]`, key, 'exists in both matchLabelKeys and labelSelector'));
    }
    seen.add(key);
  }
  return out;
}
