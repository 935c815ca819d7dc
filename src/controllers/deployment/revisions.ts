import type { Deployment, ReplicaSet } from '../../api/types.ts';
import { maxSurge } from './bounds.ts';

export const REVISION = 'deployment.kubernetes.io/revision';
const REVISION_HISTORY = 'deployment.kubernetes.io/revision-history';
export const DESIRED_REPLICAS = 'deployment.kubernetes.io/desired-replicas';
export const MAX_REPLICAS = 'deployment.kubernetes.io/max-replicas';
const MAX_HISTORY_CHARS = 2000;
const MAX_REVISION = 2n ** 63n - 1n;

/** What a ReplicaSet does not take over from its Deployment's annotations. */
const OWN_ANNOTATIONS = new Set([
  'kubectl.kubernetes.io/last-applied-configuration',
  REVISION,
  REVISION_HISTORY,
  DESIRED_REPLICAS,
  MAX_REPLICAS,
  'deprecated.deployment.rollback.to',
]);

type Annotations = Record<string, string>;

/** 64 bits wide. What is no number counts as 0. */
export function revisionOf(object: { metadata: { annotations?: Annotations } }): bigint {
  return parseRevision(object.metadata.annotations?.[REVISION]);
}

function parseRevision(text = ''): bigint {
  return /^\d{1,19}$/.test(text) && BigInt(text) <= MAX_REVISION ? BigInt(text) : 0n;
}

export function byRevision(a: ReplicaSet, b: ReplicaSet): number {
  const [left, right] = [revisionOf(a), revisionOf(b)];
  return Number(left > right) - Number(left < right);
}

/** The revision that a new or revived ReplicaSet gets: above all others. */
export function nextRevision(others: readonly ReplicaSet[]): bigint {
  const highest = others.toSorted(byRevision).at(-1);
  return (highest ? revisionOf(highest) : 0n) + 1n;
}

/**
 * The annotations of the newest ReplicaSet: the Deployment's, its revision, and when it returns to service, the
 * revisions that it had before. `current` is undefined for one that is to be created.
 */
export function newReplicaSetAnnotations(
  deployment: Deployment,
  current: Annotations | undefined,
  revision: bigint,
): Annotations {
  const annotations: Annotations = { ...current };
  for (const [name, value] of Object.entries(deployment.metadata.annotations ?? {})) {
    if (!OWN_ANNOTATIONS.has(name)) annotations[name] = value;
  }
  const before = current?.[REVISION];
  if (parseRevision(before) < revision) {
    annotations[REVISION] = String(revision);
    if (before) {
      const history = historyWith(current?.[REVISION_HISTORY] ?? '', before);
      if (history !== '') annotations[REVISION_HISTORY] = history;
    }
  }
  return current === undefined ? { ...annotations, ...sizeAnnotations(deployment) } : annotations;
}

/** How large the rollout was meant to be when the ReplicaSet was last scaled: the base of proportional scaling. */
export function sizeAnnotations(deployment: Deployment): Annotations {
  const replicas = deployment.spec?.replicas ?? 1;
  return {
    [DESIRED_REPLICAS]: String(replicas),
    [MAX_REPLICAS]: String(replicas + maxSurge(deployment)),
  };
}

/** The oldest revisions go when the list gets too long for an annotation. */
function historyWith(history: string, revision: string): string {
  const list = history === '' ? [] : history.split(',');
  list.push(revision);
  while (list.length > 0 && list.join(',').length > MAX_HISTORY_CHARS) list.shift();
  return list.join(',');
}
