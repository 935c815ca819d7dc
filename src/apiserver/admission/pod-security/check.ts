import type { Container, PodSpec } from '../../../api/types.ts';

/** What one check found, in upstream's words: `REASON (DETAIL)`. */
export interface Violation {
  readonly reason: string;
  readonly detail: string;
}

export interface PodFacts {
  readonly annotations: Readonly<Record<string, string>>;
  readonly spec: PodSpec;
}

/** One rule of the Pod Security Standards. https://kubernetes.io/docs/concepts/security/pod-security-standards/ */
export interface Check {
  /** The minor version of v1 in which the rule came to be. */
  readonly since: number;
  /** The baseline rule that this restricted one stands in for. */
  readonly replaces?: Check;
  /** `minor` is the version of the policy that is asked for. */
  judge(pod: PodFacts, minor: number): Violation | undefined;
}

export type AnyContainer = Container;

/** Every container of every sort: no sort is a way around the policy (CVE-2023-2727). */
export function containersOf({ spec }: PodFacts): AnyContainer[] {
  return [
    ...(spec.initContainers ?? []),
    ...spec.containers,
    ...((spec.ephemeralContainers ?? []) as AnyContainer[]),
  ];
}

export function quoted(names: Iterable<string>): string {
  return [...names].map((name) => JSON.stringify(name)).join(', ');
}

export function plural(word: string, count: number): string {
  return count === 1 ? word : `${word}s`;
}

/** `container "a"`, `containers "a", "b"`. */
export function named(word: string, names: readonly string[]): string {
  return `${plural(word, names.length)} ${quoted(names)}`;
}

export function namesWhere(pod: PodFacts, bad: (container: AnyContainer) => boolean): string[] {
  return containersOf(pod)
    .filter(bad)
    .map(({ name }) => name);
}

/** A violation when there is anything to say. */
export function violation(reason: string, details: readonly string[]): Violation | undefined {
  return details.length === 0 ? undefined : { reason, detail: details.join('; ') };
}
