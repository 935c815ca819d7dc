import type { Node, Pod } from '../api/types.ts';
import { inexact } from '../util/exact-json.ts';

export type Taint = NonNullable<NonNullable<Node['spec']>['taints']>[number];
export type Toleration = NonNullable<NonNullable<Pod['spec']>['tolerations']>[number];

export const NOT_READY = 'node.kubernetes.io/not-ready';
export const UNREACHABLE = 'node.kubernetes.io/unreachable';

/** core/v1 Toleration.ToleratesTaint. */
export function tolerates(toleration: Toleration, taint: Taint): boolean {
  const { effect, key, operator, value } = toleration;
  if (effect && effect !== taint.effect) return false;
  if (key && key !== taint.key) return false;
  if (operator === 'Exists') return true;
  return Boolean(key) && (value ?? '') === (taint.value ?? '');
}

/**
 * How long a Pod may stay on a node with these NoExecute taints: milliseconds, Infinity for ever, undefined when some
 * taint is not tolerated at all.
 */
export function tolerationTime(pod: Pod, taints: readonly Taint[]): number | undefined {
  const tolerations = pod.spec?.tolerations ?? [];
  let shortest = Number.POSITIVE_INFINITY;
  for (const taint of taints) {
    const used = tolerations.filter((toleration) => tolerates(toleration, taint));
    if (used.length === 0) return undefined;
    for (const { tolerationSeconds } of used) {
      if (tolerationSeconds === undefined) continue;
      shortest = Math.min(shortest, Math.max(0, inexact(tolerationSeconds)) * 1000);
    }
  }
  return shortest;
}

export function sameTaint(a: Taint, b: Taint): boolean {
  return a.key === b.key && a.effect === b.effect;
}
