import { readFileSync } from 'node:fs';
import { isAtomicObject, mergeFact } from './merge-facts.ts';
import type { Definition, Field, Schema, TypeRef } from './schema.ts';

/** generated/schema.json: per definition its fields as [name, type code, required]. */
type Structure = Readonly<Record<string, readonly (readonly [string, string, 0 | 1])[]>>;
/** generated/descriptions.json: per definition its description and those of its fields, in the same order. */
type Descriptions = Readonly<Record<string, readonly [string, readonly string[]]>>;

const SCALARS: Readonly<Record<string, TypeRef>> = {
  s: { kind: 'string' },
  B: { kind: 'bytes' },
  b: { kind: 'boolean' },
  i: { kind: 'int32' },
  l: { kind: 'int64' },
  d: { kind: 'double' },
  x: { kind: 'intOrString' },
  q: { kind: 'quantity' },
  t: { kind: 'time' },
  m: { kind: 'microTime' },
  a: { kind: 'any' },
};

const GENERATED = new URL('../../generated/', import.meta.url);

let loaded: Schema | undefined;

/**
 * The structure of all built-in kinds, from the file that `npm run generate` writes. Definitions are built when
 * first asked for; descriptions are read from disk only when somebody reads one (explain, OpenAPI).
 */
export function builtinSchema(): Schema {
  loaded ??= new GeneratedSchema();
  return loaded;
}

class GeneratedSchema implements Schema {
  readonly #structure = load<Structure>('schema.json');
  readonly #definitions = new Map<string, Definition>();
  #descriptions: Descriptions | undefined;

  definition(name: string): Definition | undefined {
    const known = this.#definitions.get(name);
    if (known || !Object.hasOwn(this.#structure, name)) return known;
    const built = this.#build(name);
    this.#definitions.set(name, built);
    return built;
  }

  names(): Iterable<string> {
    return Object.keys(this.#structure);
  }

  #build(name: string): Definition {
    const fields = new Map<string, Field>();
    const own = this.#structure[name] ?? [];
    for (const [index, [field, code, required]] of own.entries()) {
      const type = parseType(code);
      const describe = () => this.#described(name)[1][index] || this.#describedType(type);
      fields.set(field, {
        type,
        required: required === 1,
        ...mergeFact(name, field, type.kind === 'array'),
        get description() {
          return describe();
        },
      });
    }
    const describe = () => this.#described(name)[0];
    return {
      name,
      fields,
      ...(isAtomicObject(name) ? { mapType: 'atomic' as const } : {}),
      get description() {
        return describe();
      },
    };
  }

  #described(name: string): readonly [string, readonly string[]] {
    this.#descriptions ??= load<Descriptions>('descriptions.json');
    return this.#descriptions[name] ?? ['', []];
  }

  /** The models carry no description for fields that refer to another type: that type's own serves. */
  #describedType(type: TypeRef): string {
    return type.kind === 'object' ? this.#described(type.name)[0] : '';
  }
}

function parseType(code: string): TypeRef {
  const rest = code.slice(1);
  if (code.startsWith('[')) return { kind: 'array', of: parseType(rest) };
  if (code.startsWith('{')) return { kind: 'map', of: parseType(rest) };
  if (code.startsWith('@')) return { kind: 'object', name: rest };
  const scalar = SCALARS[code];
  if (!scalar) throw new Error(`unknown type code ${code} in the generated schema`);
  return scalar;
}

function load<T>(file: string): T {
  const url = new URL(file, GENERATED);
  try {
    return JSON.parse(readFileSync(url, 'utf8')) as T;
  } catch (err) {
    throw new Error(`${url.pathname} cannot be read: run \`npm run generate\``, { cause: err });
  }
}
