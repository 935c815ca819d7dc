import { setFlagsFromString } from 'node:v8';
import { translateRe2 } from './re2-syntax.ts';

// Patterns of users must not be able to keep the process busy: V8's engine for the flag `l` never goes back in a text.
setFlagsFromString('--enable-experimental-regexp-engine');

/** A regular expression from a user. */
export interface LinearRegExp {
  readonly regExp: RegExp;
  /** How many steps a character of a text takes at most, each some nanoseconds. */
  readonly size: number;
}

const compiled = new Map<string, LinearRegExp>();
const MAX_COMPILED = 1000;

/**
 * As Go's RE2 would take it: what RE2 does not know (look-around, back references) is refused, and matching takes time
 * in proportion to pattern and text. Throws SyntaxError in Go's words.
 */
export function linearRegExp(pattern: string): LinearRegExp {
  let known = compiled.get(pattern);
  if (known === undefined) {
    const { source, size } = translateRe2(pattern);
    known = { regExp: new RegExp(source, 'l'), size };
    if (compiled.size >= MAX_COMPILED) compiled.clear();
    compiled.set(pattern, known);
  }
  return known;
}

/** The steps that the patterns of one object may take together: about half a second. */
const MAX_STEPS = 50_000_000;

/** A text that is too long for its pattern. */
export class PatternBudgetError extends Error {
  override readonly name = 'PatternBudgetError';

  constructor(pattern: string) {
    super(`is too long to be matched against '${pattern}'`);
  }
}

/** Matching takes time in proportion to pattern times text: where both may be large, something has to give. */
export class PatternBudget {
  #left: number;

  constructor(steps = MAX_STEPS) {
    this.#left = steps;
  }

  test(pattern: string, text: string): boolean {
    const { regExp, size } = linearRegExp(pattern);
    this.#left -= size * text.length;
    if (this.#left < 0) throw new PatternBudgetError(pattern);
    return regExp.test(text);
  }
}
