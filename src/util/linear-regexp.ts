import { setFlagsFromString } from 'node:v8';
import { translateRe2 } from './re2-syntax.ts';

// Patterns of users must not be able to keep the process busy: V8 then goes on with its linear-time engine.
setFlagsFromString('--enable-experimental-regexp-engine-on-excessive-backtracks');

const compiled = new Map<string, RegExp>();
const MAX_COMPILED = 1000;

/**
 * A regular expression from a user, as Go's RE2 would take it: what RE2 does not know (look-around, back references)
 * is refused, so that the linear-time engine can always take over. Throws SyntaxError in Go's words.
 */
export function linearRegExp(pattern: string): RegExp {
  let regExp = compiled.get(pattern);
  if (regExp === undefined) {
    regExp = new RegExp(translateRe2(pattern));
    if (compiled.size >= MAX_COMPILED) compiled.clear();
    compiled.set(pattern, regExp);
  }
  return regExp;
}
