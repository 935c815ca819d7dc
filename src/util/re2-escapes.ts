/** What a part of the pattern means, and how long it is there. */
export interface Part {
  readonly text: string;
  readonly length: number;
}

export const CONTROLS: Readonly<Record<string, string | undefined>> = {
  a: '\u0007',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
  v: '\v',
};

/** Octal and hexadecimal escape sequences. */
export function byNumber(rest: string): Part | undefined {
  const [octal] = /^\\(?:0[0-7]{0,2}|[1-7][0-7]{1,2})/.exec(rest) ?? [];
  if (octal) return { text: codePoint(octal.slice(1), 8), length: octal.length };
  const [hex, two, more] = /^\\x(?:([0-9A-Fa-f]{2})|\{([0-9A-Fa-f]{1,6})\})/.exec(rest) ?? [];
  const digits = two ?? more ?? '';
  if (!hex || Number.parseInt(digits, 16) > 0x10ffff) return undefined;
  return { text: codePoint(digits, 16), length: hex.length };
}

function codePoint(digits: string, base: number): string {
  return String.fromCodePoint(Number.parseInt(digits, base));
}
