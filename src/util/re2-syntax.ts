/**
 * Go's regular expressions (RE2 syntax) in JavaScript's: POSIX classes, named groups, \A, \z, \Q…\E and flags become what
 * JavaScript knows; what Go refuses is refused in Go's words. The result needs no flags: V8's linear-time engine takes
 * neither `i` nor `u`, so `(?i)` becomes classes of both cases, and \p{…} is not supported, and says so.
 */
export function translateRe2(pattern: string): string {
  return new Translation(pattern).run();
}

/** A pattern that Go would not compile. */
export class PatternError extends SyntaxError {
  override readonly name = 'PatternError';

  constructor(why: string, part: string) {
    super(`error parsing regexp: ${why}: \`${part}\``);
  }
}

const MAX_REPEAT = 1000;
const SYNTAX = /[\\^$.*+?()[\]{}|/]/;
const SAME = new Set('fnrtvbBdDwW');
/** Go's white space is ASCII's, without the vertical tab. */
const SPACE = '\\t\\n\\f\\r ';

const NOT_SPACE = '\\x00-\\x08\\x0b\\x0e-\\x1f!-\\uffff';
const PUNCTUATION = /^[!-/:-@[-`{-~]$/;

const POSIX: Readonly<Record<string, string>> = {
  alnum: '0-9A-Za-z',
  alpha: 'A-Za-z',
  ascii: '\\x00-\\x7f',
  blank: '\\t ',
  cntrl: '\\x00-\\x1f\\x7f',
  digit: '0-9',
  graph: '!-~',
  lower: 'a-z',
  print: ' -~',
  punct: '!-\\/:-@\\[-`{-~',
  space: '\\t\\n\\v\\f\\r ',
  upper: 'A-Z',
  word: '0-9A-Za-z_',
  xdigit: '0-9A-Fa-f',
};
/** What is left of all characters. */
const NOT_POSIX: Readonly<Record<string, string>> = {
  alnum: '\\x00-\\/:-@\\[-`{-\\uffff',
  alpha: '\\x00-@\\[-`{-\\uffff',
  ascii: '\\x80-\\uffff',
  blank: '\\x00-\\x08\\n-\\x1f!-\\uffff',
  cntrl: ' -~\\x80-\\uffff',
  digit: '\\x00-\\/:-\\uffff',
  graph: '\\x00- \\x7f-\\uffff',
  lower: '\\x00-`{-\\uffff',
  print: '\\x00-\\x1f\\x7f-\\uffff',
  punct: '\\x00- 0-9A-Za-z\\x7f-\\uffff',
  space: '\\x00-\\x08\\x0e-\\x1f!-\\uffff',
  upper: '\\x00-@\\[-\\uffff',
  word: '\\x00-\\/:-@\\[-^`{-\\uffff',
  xdigit: '\\x00-\\/:-@G-`g-\\uffff',
};

/** What a part of the pattern means, and how long it is there. */
interface Part {
  readonly text: string;
  readonly length: number;
}

interface Flags {
  readonly i: boolean;
  readonly m: boolean;
  readonly s: boolean;
}

class Translation {
  readonly #pattern: string;
  #at = 0;
  #out = '';
  #flags: Flags = { i: false, m: false, s: false };
  /** The flags outside of each open group. */
  readonly #groups: Flags[] = [];
  /** Where the operator of what was repeated last starts; undefined: what stands before was not repeated. */
  #repeated: number | undefined;
  #canRepeat = false;

  constructor(pattern: string) {
    this.#pattern = pattern;
  }

  run(): string {
    while (this.#at < this.#pattern.length) this.#step();
    if (this.#groups.length > 0) throw new PatternError('missing closing )', this.#pattern);
    return this.#out;
  }

  #step(): void {
    const c = this.#pattern[this.#at] ?? '';
    if (c === '\\') this.#escape();
    else if (c === '[') this.#class();
    else if (c === '(') this.#open();
    else if (c === ')') this.#close();
    else if (c === '{') this.#count();
    else if (c === '|') this.#emit('|', 1, false);
    else if ('*+?'.includes(c)) this.#repeat(c);
    else if ('^$.'.includes(c)) this.#emit(this.#special(c), 1);
    else this.#literal();
  }

  #special(c: string): string {
    const { m, s } = this.#flags;
    if (c === '.') return s ? '[^]' : '[^\\n]';
    if (c === '^') return m ? '(?:^|(?<=\\n))' : '^';
    return m ? '(?=\\n|$)' : '$';
  }

  /** Writes what `length` characters of the pattern mean. */
  #emit(text: string, length: number, canRepeat = true): void {
    this.#out += text;
    this.#at += length;
    this.#canRepeat = canRepeat;
    this.#repeated = undefined;
  }

  #literal(): void {
    const c = String.fromCodePoint(this.#pattern.codePointAt(this.#at) ?? 0);
    this.#emit(this.#character(c), c.length);
  }

  #character(c: string): string {
    if (this.#flags.i && isLetter(c)) return `[${c.toLowerCase()}${c.toUpperCase()}]`;
    if (c.length > 1) return `(?:${c})`;
    return SYNTAX.test(c) ? `\\${c}` : c;
  }

  #open(): void {
    const rest = this.#pattern.slice(this.#at);
    if (!rest.startsWith('(?')) {
      this.#groups.push(this.#flags);
      this.#emit('(', 1, false);
      return;
    }
    if (/^\(\?P?</.test(rest) && !/^\(\?<[=!]/.test(rest)) this.#openNamed(rest);
    else this.#openFlags(rest);
  }

  #openNamed(rest: string): void {
    const [capture, name = ''] = /^\(\?P?<([^>]*)>/.exec(rest) ?? [];
    if (capture === undefined) throw new PatternError('invalid named capture', rest);
    if (!/^\w+$/.test(name)) throw new PatternError('invalid named capture', capture);
    this.#groups.push(this.#flags);
    // Nobody asks for the name.
    this.#emit('(', capture.length, false);
  }

  #openFlags(rest: string): void {
    const [all = '', on = '', off = '', end = ''] =
      /^\(\?([imsU]*)(?:-([imsU]+))?([:)])/.exec(rest) ?? [];
    if (end === '' || (all.includes('U') && on.includes('U'))) {
      const bad = /^\(\?[imsU-]*.?/su.exec(rest)?.[0] ?? rest;
      throw new PatternError('invalid or unsupported Perl syntax', bad);
    }
    const flag = (name: 'i' | 'm' | 's') =>
      on.includes(name) || (this.#flags[name] && !off.includes(name));
    const flags = { i: flag('i'), m: flag('m'), s: flag('s') };
    if (end === ':') {
      this.#groups.push(this.#flags);
      this.#emit('(?:', all.length, false);
    } else this.#emit('', all.length, false);
    this.#flags = flags;
  }

  #close(): void {
    const outside = this.#groups.pop();
    if (!outside) throw new PatternError('unexpected )', this.#pattern);
    this.#flags = outside;
    this.#emit(')', 1);
  }

  #repeat(operator: string): void {
    const start = this.#at;
    const lazy = this.#pattern[start + operator.length] === '?' ? '?' : '';
    const text = operator + lazy;
    if (this.#repeated !== undefined) {
      const both = this.#pattern.slice(this.#repeated, start + text.length);
      throw new PatternError('invalid nested repetition operator', both);
    }
    if (!this.#canRepeat) throw new PatternError('missing argument to repetition operator', text);
    this.#emit(text, text.length);
    this.#repeated = start;
  }

  #count(): void {
    const [text, least, comma, most] =
      /^\{(\d+)(,?)(\d*)\}/.exec(this.#pattern.slice(this.#at)) ?? [];
    if (text === undefined || (comma === '' && most !== '')) {
      this.#emit('\\{', 1);
      return;
    }
    const upper = most === '' ? Number(least) : Number(most);
    if (Number(least) > MAX_REPEAT || upper > MAX_REPEAT || upper < Number(least)) {
      throw new PatternError('invalid repeat count', text);
    }
    this.#repeat(text);
  }

  #escape(): void {
    const c = this.#pattern[this.#at + 1];
    if (c === undefined) throw new PatternError('trailing backslash at end of expression', '');
    if (c === 'A') this.#emit('^', 2);
    else if (c === 'z') this.#emit('$', 2);
    else if (c === 'Q') this.#quoted();
    else if (c === 's' || c === 'S') this.#emit(`[${c === 'S' ? '^' : ''}${SPACE}]`, 2);
    else if (SAME.has(c)) this.#emit(`\\${c}`, 2);
    else {
      const { text, length } = this.#escaped(this.#at);
      this.#emit(this.#character(text), length);
    }
  }

  #quoted(): void {
    const end = this.#pattern.indexOf('\\E', this.#at);
    const text = this.#pattern.slice(this.#at + 2, end < 0 ? undefined : end);
    const length = end < 0 ? this.#pattern.length - this.#at : text.length + 4;
    this.#emit([...text].map((c) => this.#character(c)).join(''), length, text !== '');
  }

  /** The one character that an escape sequence means, and how long that is. */
  #escaped(at: number): Part {
    const rest = this.#pattern.slice(at);
    const numbered = byNumber(rest);
    if (numbered) return numbered;
    const c = rest[1] ?? '';
    if (c === 'p' || c === 'P') {
      const part = /^\\[pP](?:\{[^}]*\}|.)?/su.exec(rest)?.[0] ?? rest;
      throw new PatternError('Unicode character classes are not supported here', part);
    }
    const control = CONTROLS[c];
    if (control !== undefined) return { text: control, length: 2 };
    if (!PUNCTUATION.test(c)) throw new PatternError('invalid escape sequence', rest.slice(0, 2));
    return { text: c, length: 2 };
  }

  #class(): void {
    const start = this.#at;
    const isNegated = this.#pattern[start + 1] === '^';
    let at = start + (isNegated ? 2 : 1);
    let items = '';
    for (let first = true; first || this.#pattern[at] !== ']'; first = false) {
      if (at >= this.#pattern.length) {
        throw new PatternError('missing closing ]', this.#pattern.slice(start));
      }
      const item = this.#named(at) ?? this.#range(at, start);
      items += item.text;
      at += item.length;
    }
    this.#emit(`[${isNegated ? '^' : ''}${items}]`, at + 1 - start);
  }

  /** `[:alpha:]`, `\d` and the like within a class. */
  #named(at: number): Part | undefined {
    const rest = this.#pattern.slice(at);
    const [posix, not, name = ''] = /^\[:(\^?)([^\]]*):\]/.exec(rest) ?? [];
    if (posix !== undefined) return this.#posix(posix, name, not === '^');
    const [perl] = /^\\[dDsSwW]/.exec(rest) ?? [];
    if (perl === undefined) return undefined;
    if (perl === '\\s') return { text: SPACE, length: 2 };
    return { text: perl === '\\S' ? NOT_SPACE : perl, length: 2 };
  }

  #posix(all: string, name: string, isNot: boolean): Part {
    const table = isNot ? NOT_POSIX : POSIX;
    const text = Object.hasOwn(table, name) ? table[name] : undefined;
    if (text === undefined) throw new PatternError('invalid character class range', all);
    const both = this.#flags.i && !isNot && (name === 'lower' || name === 'upper');
    return { text: both ? 'A-Za-z' : text, length: all.length };
  }

  #range(at: number, start: number): Part {
    const low = this.#member(at, start);
    const next = at + low.length;
    if (this.#pattern[next] !== '-' || (this.#pattern[next + 1] ?? ']') === ']') {
      return { text: this.#ranged(low.text, low.text), length: low.length };
    }
    const high = this.#member(next + 1, start);
    const length = low.length + 1 + high.length;
    if ((high.text.codePointAt(0) ?? 0) < (low.text.codePointAt(0) ?? 0)) {
      const part = this.#pattern.slice(at, at + length);
      throw new PatternError('invalid character class range', part);
    }
    return { text: this.#ranged(low.text, high.text), length };
  }

  #member(at: number, start: number): Part {
    const code = this.#pattern.codePointAt(at);
    if (code === undefined) {
      throw new PatternError('missing closing ]', this.#pattern.slice(start));
    }
    if (this.#pattern[at] === '\\') {
      if (at + 1 >= this.#pattern.length) {
        throw new PatternError('trailing backslash at end of expression', '');
      }
      return this.#escaped(at);
    }
    const text = String.fromCodePoint(code);
    return { text, length: text.length };
  }

  #ranged(low: string, high: string): string {
    const plain = low === high ? inClass(low) : `${inClass(low)}-${inClass(high)}`;
    if (!this.#flags.i) return plain;
    return plain + otherCase(low, high, 'a', 'z') + otherCase(low, high, 'A', 'Z');
  }
}

const CONTROLS: Readonly<Record<string, string | undefined>> = {
  a: '\u0007',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
  v: '\v',
};

/** Octal and hexadecimal escape sequences. */
function byNumber(rest: string): Part | undefined {
  const [octal] = /^\\(?:0[0-7]{0,2}|[1-7][0-7]{1,2})/.exec(rest) ?? [];
  if (octal) return { text: codePoint(octal.slice(1), 8), length: octal.length };
  const [hex, two, more] = /^\\x(?:([0-9A-Fa-f]{2})|\{([0-9A-Fa-f]{1,6})\})/.exec(rest) ?? [];
  const digits = two ?? more ?? '';
  if (!hex || Number.parseInt(digits, 16) > 0x10ffff) return undefined;
  return { text: codePoint(digits, 16), length: hex.length };
}

/** The part of a range that is within `from`-`to`, in the other case. */
function otherCase(low: string, high: string, from: string, to: string): string {
  const first = low > from ? low : from;
  const last = high < to ? high : to;
  if (first > last) return '';
  const turn = (c: string) => (from === 'a' ? c.toUpperCase() : c.toLowerCase());
  return `${turn(first)}-${turn(last)}`;
}

function isLetter(c: string): boolean {
  return /^[A-Za-z]$/.test(c);
}

function codePoint(digits: string, base: number): string {
  return String.fromCodePoint(Number.parseInt(digits, base));
}

/** Within brackets; characters beyond 16 bits stand there as their halves. */
function inClass(c: string): string {
  const [unit = ''] = c;
  return unit
    .split('')
    .map((half) => `\\u${half.charCodeAt(0).toString(16).padStart(4, '0')}`)
    .join('');
}
