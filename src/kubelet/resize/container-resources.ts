import { compareQuantities, parseQuantity } from '../../api/quantity.ts';
import type { Container } from '../../api/types.ts';

export type Resources = Pick<NonNullable<Container['resources']>, 'requests' | 'limits'>;

/** The resources that can change while a container runs. */
const COMPUTE = ['cpu', 'memory'] as const;

/** Of cpu and memory, those whose request or limit differ in value, however they are written. */
export function changedCompute(
  a: Resources | undefined,
  b: Resources | undefined,
): readonly string[] {
  return COMPUTE.filter(
    (name) =>
      !sameQuantity(a?.requests?.[name], b?.requests?.[name]) ||
      !sameQuantity(a?.limits?.[name], b?.limits?.[name]),
  );
}

function sameQuantity(a: string | undefined, b: string | undefined): boolean {
  if (a === undefined || b === undefined) return a === b;
  return a === b || compareQuantities(parseQuantity(a), parseQuantity(b)) === 0;
}
