import { errorMessage } from '../util/errors.ts';
import { isObject } from '../util/json.ts';

/** What errors of cel-js carry. */
interface Told {
  readonly name: string;
  readonly summary: string;
  readonly range?: { readonly start: number } | undefined;
}

/** Why an expression does not compile, with the place in it, as cel-go words and draws it. */
export function compileMessage(err: unknown, expression: string): string {
  if (!isTold(err)) return `compilation failed: ${errorMessage(err)}`;
  const start = Math.min(err.range?.start ?? 0, expression.length);
  const before = expression.slice(0, start).split('\n');
  const column = before.at(-1)?.length ?? 0;
  const line = expression.split('\n')[before.length - 1] ?? '';
  const what = err.name === 'ParseError' ? `Syntax error: ${err.summary}` : worded(err.summary);
  const place = `${before.length}:${column + 1}`;
  return `compilation failed: ERROR: <input>:${place}: ${what}\n | ${line}\n | ${'.'.repeat(column)}^`;
}

/** Why an evaluation failed, on one line. */
export function evaluationMessage(err: unknown): string {
  const text = isTold(err) ? err.summary : (errorMessage(err).split('\n')[0] ?? '');
  return text.charAt(0).toLowerCase() + text.slice(1);
}

function isTold(err: unknown): err is Told {
  return isObject(err) && typeof err.summary === 'string';
}

const WORDS: readonly [RegExp, (...found: string[]) => string][] = [
  [/^No such key: (.*)$/, (field) => `undefined field '${field}'`],
  [/^Unknown variable: (.*)$/, (name) => `undeclared reference to '${name}' (in container '')`],
  [
    /^no such overload: (\S+) (\S+) (\S+)$/,
    (a, operator, b) => `found no matching overload for '_${operator}_' applied to '(${a}, ${b})'`,
  ],
];

function worded(summary: string): string {
  for (const [pattern, word] of WORDS) {
    const found = pattern.exec(summary);
    if (found) return word(...found.slice(1));
  }
  return summary;
}
