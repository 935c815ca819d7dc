export type IntOrString = number | string;

/** The number, or the percentage of `total` that a text like `25%` means. Throws RangeError for other texts. */
export function resolveIntOrPercent(
  value: IntOrString,
  total: number,
  rounding: 'up' | 'down',
): number {
  if (typeof value === 'number') return value;
  const percent = percentOf(value);
  if (percent === undefined) {
    throw new RangeError(`invalid value for IntOrString: "${value}" is not a percentage`);
  }
  const exact = (percent * total) / 100;
  return rounding === 'up' ? Math.ceil(exact) : Math.floor(exact);
}

/** 25 for `25%`; undefined for anything else. */
export function percentOf(value: IntOrString): number | undefined {
  const found = typeof value === 'string' ? /^(\d+)%$/.exec(value) : null;
  return found?.[1] === undefined ? undefined : Number(found[1]);
}
