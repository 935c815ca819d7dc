import type { LabelFilter } from '../runtime.ts';

/** Docker has no annotations: they are labels with this in front. */
const ANNOTATION = 'annotation.';
export const TYPE_LABEL = 'io.kubernetes.docker.type';
export const SANDBOX_ID_LABEL = 'io.kubernetes.sandbox.id';
const OWN: ReadonlySet<string> = new Set([
  TYPE_LABEL,
  SANDBOX_ID_LABEL,
  'io.kubernetes.container.logpath',
  'io.kubernetes.docker.attempt',
]);

type Texts = Readonly<Record<string, string>>;

export function toLabels(labels: Texts, annotations: Texts): Record<string, string> {
  const renamed = Object.entries(annotations).map(([key, value]) => [ANNOTATION + key, value]);
  return { ...labels, ...Object.fromEntries(renamed) };
}

/** The labels and annotations that were given to `toLabels`. */
export function fromLabels(all: Texts): {
  labels: Record<string, string>;
  annotations: Record<string, string>;
} {
  const entries = Object.entries(all).filter(([key]) => !OWN.has(key));
  const isAnnotation = ([key]: [string, string]): boolean => key.startsWith(ANNOTATION);
  return {
    labels: Object.fromEntries(entries.filter((entry) => !isAnnotation(entry))),
    annotations: Object.fromEntries(
      entries.filter(isAnnotation).map(([key, value]) => [key.slice(ANNOTATION.length), value]),
    ),
  };
}

/** Docker's filter for things of one type that carry the labels. */
export function labelFilter(type: 'podsandbox' | 'container', filter: LabelFilter = {}) {
  const wanted = Object.entries(filter).map(([key, value]) => `${key}=${value}`);
  return { label: [`${TYPE_LABEL}=${type}`, ...wanted] };
}
