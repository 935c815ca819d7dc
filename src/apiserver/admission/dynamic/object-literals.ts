import { CelCompileError } from '../../../cel/cel.ts';

const TYPE = /^(?:Object(?:\.[A-Za-z_][A-Za-z0-9_]*)*|JSONPatch)\s*\{/;
const FIELD = /^(\s*)([A-Za-z_][A-Za-z0-9_]*)(\s*:)/;
const STRING =
  /^(?:[rRbB]{0,2})("""[\s\S]*?"""|'''[\s\S]*?'''|"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*')/;
const WORD = /^[A-Za-z_][A-Za-z0-9_]*/;

/**
 * Mutations write objects as `Object{spec: Object.spec{replicas: 3}}` and `JSONPatch{op: "add"}`. Their types only say
 * where in the object they belong, so each is read as the map that it makes: `{"spec": {"replicas": 3}}`.
 */
export function withoutObjectTypes(expression: string): string {
  return new Rewriter(expression).run();
}

class Rewriter {
  #out = '';
  #rest: string;
  /** For each open bracket: whether it is one of these literals. */
  readonly #open: boolean[] = [];

  constructor(expression: string) {
    this.#rest = expression;
  }

  run(): string {
    while (this.#rest !== '') {
      if (this.#literal() || this.#word()) continue;
      const sign = this.#rest[0] ?? '';
      if ('({['.includes(sign)) this.#open.push(false);
      else if (')}]'.includes(sign)) this.#open.pop();
      this.#take(1);
      if (sign === ',' && this.#open.at(-1)) this.#field();
    }
    return this.#out;
  }

  #take(length: number, as = this.#rest.slice(0, length)): void {
    this.#out += as;
    this.#rest = this.#rest.slice(length);
  }

  /** The type of a literal, up to its first field. */
  #literal(): boolean {
    const found = /[\w.]$/.test(this.#out) ? null : TYPE.exec(this.#rest);
    if (!found) return false;
    this.#take(found[0].length, '{');
    this.#open.push(true);
    this.#field();
    return true;
  }

  #word(): boolean {
    const found = STRING.exec(this.#rest)?.[0] ?? WORD.exec(this.#rest)?.[0];
    if (found) this.#take(found.length);
    return found !== undefined;
  }

  #field(): void {
    if (/^\s*\?/.test(this.#rest)) {
      throw new CelCompileError('compilation failed: optional fields of objects are not supported');
    }
    const found = FIELD.exec(this.#rest);
    if (found) this.#take(found[0].length, `${found[1]}"${found[2]}"${found[3]}`);
  }
}
