import type { Definition, Schema, TypeRef } from '../../../api/schema.ts';
import type { CelEnvironment } from '../../../cel/cel.ts';
import { identifier } from '../../../cel/identifiers.ts';

/** Declares a type with these fields, whose values can be compared with each other and with null. */
export function declareObject(
  environment: CelEnvironment,
  name: string,
  fields: Readonly<Record<string, string>>,
): void {
  environment.registerType({ name, ctor: class {} as never, fields: { ...fields } });
  for (const other of [name, 'null']) {
    environment.registerOperator(`${name} == ${other}`, () => false);
  }
}

/** The types that expressions give to objects whose structure is known, declared in one environment as they are needed. */
export class SchemaTypes {
  readonly #schema: Schema;
  readonly #environment: CelEnvironment;
  /** Of definitions; undefined while one is being declared: what holds itself ends in `dyn`. */
  readonly #names = new Map<string, string | undefined>();

  constructor(schema: Schema, environment: CelEnvironment) {
    this.#schema = schema;
    this.#environment = environment;
  }

  /** The type of a whole object by the name of its definition: `dyn` when nothing is known of it. */
  ofDefinition(name: string): string {
    if (this.#names.has(name)) return this.#names.get(name) ?? 'dyn';
    const definition = this.#schema.definition(name);
    if (!definition || definition.fields.size === 0) return 'dyn';
    this.#names.set(name, undefined);
    const type = `object.T${this.#names.size}`;
    declareObject(this.#environment, type, this.#fieldsOf(definition));
    this.#names.set(name, type);
    return type;
  }

  #fieldsOf({ fields }: Definition): Record<string, string> {
    const out: Record<string, string> = Object.create(null);
    for (const [name, { type }] of fields) out[identifier(name)] = this.#typeOf(type);
    return out;
  }

  #typeOf(type: TypeRef): string {
    switch (type.kind) {
      case 'string':
      case 'quantity':
        return 'string';
      case 'boolean':
        return 'bool';
      case 'int32':
      case 'int64':
        return 'int';
      case 'double':
        return 'double';
      case 'bytes':
        return 'bytes';
      case 'time':
      case 'microTime':
        return 'google.protobuf.Timestamp';
      case 'array':
        return `list<${this.#typeOf(type.of)}>`;
      case 'map':
        return `map<string, ${this.#typeOf(type.of)}>`;
      case 'object':
        return this.ofDefinition(type.name);
      case 'any':
      case 'intOrString':
        return 'dyn';
    }
  }
}
