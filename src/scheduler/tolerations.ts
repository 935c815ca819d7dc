import type { Node } from '../api/types.ts';
import type { Taint, Toleration } from './parts.ts';

const NO_TAINTS: readonly Taint[] = [];

export function taintsOf(node: Node): readonly Taint[] {
  return node.spec?.taints ?? NO_TAINTS;
}

/** Whether one toleration covers the taint (core/v1 Toleration.ToleratesTaint). */
export function tolerates(toleration: Toleration, taint: Taint): boolean {
  if (toleration.effect && toleration.effect !== taint.effect) return false;
  if (toleration.key && toleration.key !== taint.key) return false;
  const operator = toleration.operator || 'Equal';
  if (operator === 'Exists') return true;
  if (operator !== 'Equal' || !toleration.key) return false;
  return (toleration.value ?? '') === (taint.value ?? '');
}

export function toleratesAny(tolerations: readonly Toleration[], taint: Taint): boolean {
  return tolerations.some((toleration) => tolerates(toleration, taint));
}

/** The first taint that keeps a Pod with these tolerations away from the node. */
export function untoleratedTaint(
  node: Node,
  tolerations: readonly Toleration[],
): Taint | undefined {
  for (const taint of taintsOf(node)) {
    if (taint.effect !== 'NoSchedule' && taint.effect !== 'NoExecute') continue;
    if (!toleratesAny(tolerations, taint)) return taint;
  }
  return undefined;
}
