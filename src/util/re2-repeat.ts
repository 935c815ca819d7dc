/** A part of a pattern that may be repeated. */
export interface Piece {
  /** About how many instructions it has. */
  readonly size: number;
  /** How often the engine writes out its innermost part. */
  readonly factor: number;
  /** How often counted repetitions in it repeat their innermost part. */
  readonly repeats: number;
}

/** V8's linear-time engine writes counted repetitions out, and takes no pattern that would be written out more often. */
const MAX_FACTOR = 16;

/**
 * A counted repetition as a row of smaller ones that the engine takes: `a{20,40}` as `a{16}a{4}a{0,16}a{0,4}`. Its text
 * comes from a function, since it may be large.
 */
export function repeatPiece(
  of: Piece & { readonly text: string },
  { least, most }: { readonly least: number; readonly most: number },
  lazy: string,
): { source: () => string; piece: Piece } {
  const isOpen = most === Number.POSITIVE_INFINITY;
  const times = Math.max(isOpen ? least : most, 1);
  const step = Math.floor(MAX_FACTOR / of.factor);
  const piece = {
    size: of.size * times,
    factor: of.factor * Math.min(times, step),
    repeats: of.repeats * times,
  };
  const one = (operator: string) => of.text + operator + lazy;
  const source = () => {
    const exact = inSteps(least, step).map((count) => one(`{${count}}`));
    if (isOpen) return [...exact, one('*')].join('');
    return [...exact, ...inSteps(most - least, step).map((count) => one(`{0,${count}}`))].join('');
  };
  // What is there no times at all still is a part of the pattern.
  return { source: most === 0 ? () => one('{0}') : source, piece };
}

function inSteps(count: number, step: number): number[] {
  const whole = new Array<number>(Math.floor(count / step)).fill(step);
  return count % step === 0 ? whole : [...whole, count % step];
}
