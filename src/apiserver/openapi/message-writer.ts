import { isObject, type JsonObject, own } from '../../util/json.ts';
import { ProtobufWriter } from '../../util/protobuf-writer.ts';

interface FieldForm {
  readonly key: string;
  readonly number: number;
  readonly type: string;
}

const EXTENSIONS = 'x-*';

/** Messages whose form is not that of the JSON. */
export type SpecialForms = Readonly<
  Record<string, (value: unknown, writer: MessageWriter) => Buffer>
>;

/**
 * JSON as protocol buffers, by a table. One line a message: `key:number:type`. Types: text, texts, bool, int, double, any
 * (YAML text), anys, a message, `[message]` a list of them, `{message}` a map of them. `x-*` holds the vendor extensions.
 */
export class MessageWriter {
  readonly #forms: ReadonlyMap<string, readonly FieldForm[]>;
  readonly #special: SpecialForms;

  constructor(table: string, special: SpecialForms) {
    this.#forms = parseForms(table);
    this.#special = special;
  }

  message(name: string, value: unknown): Buffer {
    const special = this.#special[name];
    if (special) return special(value, this);
    const writer = new ProtobufWriter();
    if (!isObject(value)) return writer.finish();
    for (const form of this.#forms.get(name) ?? []) {
      if (form.key === EXTENSIONS) writeExtensions(writer, form.number, value);
      else this.#field(writer, form, own(value, form.key));
    }
    return writer.finish();
  }

  /** A message that holds nothing but another one. */
  wrapped(number: number, name: string, value: unknown): Buffer {
    return new ProtobufWriter().bytes(number, this.message(name, value)).finish();
  }

  /** Maps are lists of pairs of name and value. */
  map(number: number, name: string, value: unknown): Buffer {
    const writer = new ProtobufWriter();
    for (const [key, member] of Object.entries(value as JsonObject)) {
      const pair = new ProtobufWriter().text(1, key).bytes(2, this.message(name, member));
      writer.bytes(number, pair.finish());
    }
    return writer.finish();
  }

  #field(writer: ProtobufWriter, { number, type }: FieldForm, value: unknown): void {
    if (value === undefined) return;
    switch (type) {
      case 'text':
        writer.text(number, String(value));
        return;
      case 'texts':
        for (const text of value as unknown[]) writer.text(number, String(text));
        return;
      case 'bool':
        writer.bool(number, value === true);
        return;
      case 'int':
        writer.varint(number, BigInt(Math.trunc(Number(value))));
        return;
      case 'double':
        writer.double(number, Number(value));
        return;
      case 'any':
        writer.bytes(number, any(value));
        return;
      case 'anys':
        for (const item of value as unknown[]) writer.bytes(number, any(item));
        return;
      default:
        this.#messages(writer, { number, type }, value);
    }
  }

  #messages(
    writer: ProtobufWriter,
    { number, type }: { number: number; type: string },
    value: unknown,
  ): void {
    const inner = type.slice(1, -1);
    if (type.startsWith('[')) {
      for (const item of value as unknown[]) writer.bytes(number, this.message(inner, item));
    } else if (type.startsWith('{')) writer.bytes(number, this.map(1, inner, value));
    else writer.bytes(number, this.message(type, value));
  }
}

function parseForms(table: string): ReadonlyMap<string, readonly FieldForm[]> {
  const rows = table.trim().split('\n');
  return new Map(
    rows.map((row) => {
      const [name = '', ...fields] = row.split(' ');
      const forms = fields.map((field) => {
        const [key = '', number, type = ''] = field.split(':');
        return { key, number: Number(number), type };
      });
      return [name, forms];
    }),
  );
}

function writeExtensions(writer: ProtobufWriter, number: number, value: JsonObject): void {
  for (const [name, member] of Object.entries(value)) {
    if (!name.startsWith('x-')) continue;
    writer.bytes(number, new ProtobufWriter().text(1, name).bytes(2, any(member)).finish());
  }
}

/** Any value travels as YAML; JSON is YAML too. */
function any(value: unknown): Buffer {
  return new ProtobufWriter().text(2, `${JSON.stringify(value)}\n`).finish();
}

export function textList(value: unknown): Buffer {
  const writer = new ProtobufWriter();
  for (const text of value as unknown[]) writer.text(1, String(text));
  return writer.finish();
}
