import { setFlagsFromString } from 'node:v8';

// Patterns of users must not be able to keep the process busy: V8 then goes on with its linear-time engine.
setFlagsFromString('--enable-experimental-regexp-engine-on-excessive-backtracks');

/**
 * A regular expression from a user, as Go's RE2 would take it: what RE2 does not know (look-around, back references)
 * is refused, so that the linear-time engine can always take over. Throws SyntaxError.
 */
export function linearRegExp(pattern: string): RegExp {
  const found = /\(\?(?:<?[=!])|\\[1-9]|\\k</.exec(pattern.replaceAll('\\\\', ''));
  if (found) {
    throw new SyntaxError(
      `error parsing regexp: invalid or unsupported Perl syntax: \`${found[0]}\``,
    );
  }
  const flags = /^\(\?([is]+)\)/.exec(pattern);
  // Go's \z and \A are unknown here; they mean what $ and ^ mean without the m flag.
  const body = pattern
    .slice(flags?.[0].length ?? 0)
    .replaceAll('\\z', '$')
    .replaceAll('\\A', '^');
  return new RegExp(body, flags?.[1] ?? '');
}
