const UNIT_MS: Readonly<Record<string, number>> = {
  ns: 1e-6,
  us: 1e-3,
  µs: 1e-3,
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
};

/** Milliseconds of a duration as Go writes it: `1h30m`, `5s`, `300ms`, `0`. Throws RangeError for anything else. */
export function parseDuration(text: string): number {
  if (text === '0') return 0;
  const whole = /^([+-]?)((?:\d+(?:\.\d*)?(?:ns|us|µs|ms|s|m|h))+)$/.exec(text);
  if (!whole) throw new RangeError(`invalid duration ${JSON.stringify(text)}`);
  const [, sign, parts = ''] = whole;
  let ms = 0;
  for (const [, number, unit = ''] of parts.matchAll(/(\d+(?:\.\d*)?)(ns|us|µs|ms|s|m|h)/g)) {
    ms += Number(number) * (UNIT_MS[unit] ?? 0);
  }
  return sign === '-' ? -ms : ms;
}
