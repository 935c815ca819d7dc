import { NOT_POSIX, POSIX } from './re2-classes.ts';
import { byNumber, CONTROLS, type Part } from './re2-escapes.ts';
import { type Piece, repeatPiece } from './re2-repeat.ts';

/** `size` is about how many instructions its program has: matching takes as many steps for each character of a text. */
export interface Translated {
  readonly source: string;
  readonly size: number;
}

/**
 * Go's regular expressions (RE2 syntax) in JavaScript's: POSIX classes, named groups, \A, \z, \Q…\E and flags become what
 * JavaScript knows; what Go refuses is refused in Go's words. The result needs no flags: V8's linear-time engine takes
 * neither `i` nor `u`, so `(?i)` becomes classes of both cases, and \p{…} is not supported, and says so. It has no
 * look-ahead either: in `(?m)` the end of a line is JavaScript's, where a carriage return ends one too.
 */
export function translateRe2(pattern: string): Translated {
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
/** Larger programs are no patterns for fields. Go's own limit is higher. */
const MAX_SIZE = 20_000;
/** A range of a class as it is written: `\u0061-\u007a`. */
const RANGE = 13;
const SYNTAX = /[\\^$.*+?()[\]{}|/]/;
const SAME = new Set('fnrtvbBdDwW');
/** Go's white space is ASCII's, without the vertical tab. */
const SPACE = '\\t\\n\\f\\r ';

const NOT_SPACE = '\\x00-\\x08\\x0b\\x0e-\\x1f!-\\uffff';
const PUNCTUATION = /^[!-/:-@[-`{-~]$/;

/** What is outside of an open group, and where in the result the group starts. */
interface Outside {
  readonly flags: Flags;
  readonly start: number;
  readonly sequence: Sequence;
}

/** What the group that is being read holds so far. */
interface Sequence {
  size: number;
  factor: number;
  repeats: number;
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
  readonly #groups: Outside[] = [];
  #sequence: Sequence = { size: 0, factor: 1, repeats: 1 };
  /** What was written last, which an operator would repeat; it starts there in the result. */
  #last: Piece = { size: 0, factor: 1, repeats: 1 };
  #lastStart = 0;
  /** Where the operator of what was repeated last starts; undefined: what stands before was not repeated. */
  #repeated: number | undefined;
  #canRepeat = false;

  constructor(pattern: string) {
    this.#pattern = pattern;
  }

  run(): Translated {
    while (this.#at < this.#pattern.length) {
      this.#step();
      if (this.#sequence.size > MAX_SIZE) {
        throw new PatternError('expression too large', this.#pattern);
      }
    }
    if (this.#groups.length > 0) throw new PatternError('missing closing )', this.#pattern);
    return { source: this.#out, size: this.#sequence.size };
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
    return m ? '(?m:$)' : '$';
  }

  /** Writes what `length` characters of the pattern mean. */
  #emit(text: string, length: number, canRepeat = true): void {
    // A class has an instruction for each of its ranges.
    this.#add({ size: 1 + Math.floor(text.length / RANGE), factor: 1, repeats: 1 }, text);
    this.#advance(length, canRepeat);
  }

  #add(piece: Piece, text: string): void {
    this.#lastStart = this.#out.length;
    this.#out += text;
    this.#last = piece;
    this.#join(piece);
  }

  #join({ size, factor, repeats }: Piece): void {
    const sequence = this.#sequence;
    sequence.size += size;
    sequence.factor = Math.max(sequence.factor, factor);
    sequence.repeats = Math.max(sequence.repeats, repeats);
  }

  #advance(length: number, canRepeat: boolean): void {
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
      this.#begin('(', 1);
      return;
    }
    if (/^\(\?P?</.test(rest) && !/^\(\?<[=!]/.test(rest)) this.#openNamed(rest);
    else this.#openFlags(rest);
  }

  #openNamed(rest: string): void {
    const [capture, name = ''] = /^\(\?P?<([^>]*)>/.exec(rest) ?? [];
    if (capture === undefined) throw new PatternError('invalid named capture', rest);
    if (!/^\w+$/.test(name)) throw new PatternError('invalid named capture', capture);
    // Nobody asks for the name.
    this.#begin('(', capture.length);
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
    if (end === ':') this.#begin('(?:', all.length);
    else this.#emit('', all.length, false);
    this.#flags = flags;
  }

  #begin(text: string, length: number): void {
    const [flags, sequence, start] = [this.#flags, this.#sequence, this.#out.length];
    this.#groups.push({ flags, sequence, start });
    this.#sequence = { size: 0, factor: 1, repeats: 1 };
    this.#emit(text, length, false);
  }

  #close(): void {
    const outside = this.#groups.pop();
    if (!outside) throw new PatternError('unexpected )', this.#pattern);
    this.#flags = outside.flags;
    this.#out += ')';
    this.#last = this.#sequence;
    this.#lastStart = outside.start;
    this.#sequence = outside.sequence;
    this.#join(this.#last);
    this.#advance(1, true);
  }

  #repeat(operator: string, count?: { least: number; most: number }): void {
    const start = this.#at;
    const lazy = this.#pattern[start + operator.length] === '?' ? '?' : '';
    const text = operator + lazy;
    if (this.#repeated !== undefined) {
      const both = this.#pattern.slice(this.#repeated, start + text.length);
      throw new PatternError('invalid nested repetition operator', both);
    }
    if (!this.#canRepeat) throw new PatternError('missing argument to repetition operator', text);
    if (count) this.#replicate(operator, count, lazy);
    else this.#out += text;
    this.#advance(text.length, true);
    this.#repeated = start;
  }

  #replicate(operator: string, count: { least: number; most: number }, lazy: string): void {
    const text = this.#out.slice(this.#lastStart);
    const { source, piece } = repeatPiece({ ...this.#last, text }, count, lazy);
    if (piece.repeats > MAX_REPEAT) throw new PatternError('invalid repeat count', operator);
    // Before it is written out: what is too large is not.
    if (this.#sequence.size + piece.size > MAX_SIZE) {
      throw new PatternError('expression too large', this.#pattern);
    }
    this.#out = this.#out.slice(0, this.#lastStart) + source();
    this.#sequence.size -= this.#last.size;
    this.#join(piece);
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
    const isOpen = comma !== '' && most === '';
    this.#repeat(text, {
      least: Number(least),
      most: isOpen ? Number.POSITIVE_INFINITY : upper,
    });
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
    const all = [...text].map((c) => this.#character(c));
    for (const one of all) this.#emit(one, 0);
    this.#advance(length, all.length > 0);
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

/** Within brackets; characters beyond 16 bits stand there as their halves. */
function inClass(c: string): string {
  const [unit = ''] = c;
  return unit
    .split('')
    .map((half) => `\\u${half.charCodeAt(0).toString(16).padStart(4, '0')}`)
    .join('');
}
