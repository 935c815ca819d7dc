import { milliValue, parseQuantity, wholeValue } from '../../api/quantity.ts';
import type { Pod } from '../../api/types.ts';
import { isStatic } from '../names.ts';
import { podRequest } from '../resources.ts';

export interface Pending {
  /** `Infeasible`: never on this node; `Deferred`: not now. */
  reason: 'Infeasible' | 'Deferred';
  message: string;
}

/** Why the node cannot grant what the pod wants; undefined when it can. */
export function resizeRefusal(
  wanted: Pod,
  node: {
    allocatable: Readonly<Record<string, string>>;
    /** Why the pod with its wish would not be admitted beside the others now. */
    refusal(pod: Pod): { message: string } | undefined;
  },
): Pending | undefined {
  if (isStatic(wanted)) {
    return { reason: 'Infeasible', message: 'In-place resize of static-pods is not supported' };
  }
  for (const name of ['memory', 'cpu']) {
    const text = node.allocatable[name];
    if (text === undefined) continue;
    const quantity = parseQuantity(text);
    const capacity = name === 'cpu' ? milliValue(quantity) : wholeValue(quantity);
    const requested = podRequest(wanted, name);
    if (requested <= capacity) continue;
    const message = `Node didn't have enough capacity: ${name}, requested: ${requested}, capacity: ${capacity}`;
    return { reason: 'Infeasible', message };
  }
  const refused = node.refusal(wanted);
  return refused && { reason: 'Deferred', message: refused.message };
}
