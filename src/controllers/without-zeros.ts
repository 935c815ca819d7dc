/**
 * Leaves out what upstream's encoder leaves out: absent values, zeros, empty texts and empty lists. A status compared with
 * what a server stored would else never be equal, and be written for ever. `keep` names fields that are shown even then.
 */
export function withoutZeros<T extends object>(fields: T, keep: readonly (keyof T)[] = []): T {
  const shown = Object.entries(fields).filter(
    ([name, value]) => keep.includes(name as keyof T) || !isEmpty(value),
  );
  return Object.fromEntries(shown) as T;
}

function isEmpty(value: unknown): boolean {
  if (Array.isArray(value)) return value.length === 0;
  return value === undefined || value === null || value === 0 || value === '' || value === false;
}
