import { isObject, type JsonObject, own } from '../../util/json.ts';
import { ProtobufWriter } from '../../util/protobuf-writer.ts';

/**
 * OpenAPI v2 in gnostic's protocol buffer form (github.com/google/gnostic openapiv2/OpenAPIv2.proto), which client-go's
 * discovery asks for. One line a message: `key:number:type`. Types: text, texts, bool, int, double, any (YAML text),
 * anys, a message, `[message]` a list of them, `{message}` a map of them. `x-*` holds the vendor extensions.
 */
const MESSAGES = parseMessages(`
Document swagger:1:text info:2:Info paths:8:Paths definitions:9:{Schema} security:12:[Requirement] securityDefinitions:13:{Security}
Info title:1:text version:2:text description:3:text
PathItem get:2:Operation put:3:Operation post:4:Operation delete:5:Operation patch:8:Operation parameters:9:[ParametersItem] x-*:10:any
Operation tags:1:texts description:3:text operationId:5:text produces:6:texts consumes:7:texts parameters:8:[ParametersItem] responses:9:Responses schemes:10:texts x-*:13:any
Body description:1:text name:2:text in:3:text required:4:bool schema:5:Schema
Query in:2:text description:3:text name:4:text type:6:text uniqueItems:20:bool
Path required:1:bool in:2:text description:3:text name:4:text type:5:text uniqueItems:19:bool
Response description:1:text schema:2:SchemaItem
SchemaItem schema:1:Schema
Security api:2:ApiKey
ApiKey type:1:text name:2:text in:3:text description:4:text
Schema $ref:1:text format:2:text title:3:text description:4:text default:5:any multipleOf:6:double maximum:7:double exclusiveMaximum:8:bool minimum:9:double exclusiveMinimum:10:bool maxLength:11:int minLength:12:int pattern:13:text maxItems:14:int minItems:15:int uniqueItems:16:bool maxProperties:17:int minProperties:18:int required:19:texts enum:20:anys additionalProperties:21:Additional type:22:TypeItem items:23:ItemsItem allOf:24:[Schema] properties:25:{Schema} example:30:any x-*:31:any
`);

interface FieldForm {
  readonly key: string;
  readonly number: number;
  readonly type: string;
}

const EXTENSIONS = 'x-*';

function parseMessages(table: string): ReadonlyMap<string, readonly FieldForm[]> {
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

/** The whole document in bytes. */
export function gnosticDocument(document: JsonObject): Buffer {
  return message('Document', document);
}

/** Messages whose form is not that of the JSON. */
const SPECIAL: Readonly<Record<string, (value: unknown) => Buffer>> = {
  Paths: (value) => writeMap(new ProtobufWriter(), { number: 2, type: 'PathItem' }, value),
  Requirement: (value) => writeMap(new ProtobufWriter(), { number: 1, type: 'StringArray' }, value),
  StringArray: textList,
  TypeItem: (value) => textList(Array.isArray(value) ? value : [value]),
  ItemsItem: (value) => new ProtobufWriter().bytes(1, message('Schema', value)).finish(),
  Additional: (value) =>
    typeof value === 'boolean'
      ? new ProtobufWriter().bool(2, value).finish()
      : new ProtobufWriter().bytes(1, message('Schema', value)).finish(),
  Security: (value) => new ProtobufWriter().bytes(2, message('ApiKey', value)).finish(),
  SchemaItem: (value) => new ProtobufWriter().bytes(1, message('Schema', value)).finish(),
  Responses: (value) => writeMap(new ProtobufWriter(), { number: 1, type: 'ResponseValue' }, value),
  ResponseValue: (value) => new ProtobufWriter().bytes(1, message('Response', value)).finish(),
  ParametersItem: parameter,
};

/** ParametersItem → Parameter → one of its kinds. */
function parameter(value: unknown): Buffer {
  const place = isObject(value) ? value.in : '';
  const wrap = (number: number, bytes: Buffer) =>
    new ProtobufWriter().bytes(number, bytes).finish();
  if (place === 'body') return wrap(1, wrap(1, message('Body', value)));
  const other =
    place === 'path' ? wrap(4, message('Path', value)) : wrap(3, message('Query', value));
  return wrap(1, wrap(2, other));
}

function textList(value: unknown): Buffer {
  const writer = new ProtobufWriter();
  for (const text of value as unknown[]) writer.text(1, String(text));
  return writer.finish();
}

function message(name: string, value: unknown): Buffer {
  const special = SPECIAL[name];
  if (special) return special(value);
  const writer = new ProtobufWriter();
  if (!isObject(value)) return writer.finish();
  for (const form of MESSAGES.get(name) ?? []) {
    if (form.key === EXTENSIONS) writeExtensions(writer, form.number, value);
    else writeField(writer, form, own(value, form.key));
  }
  return writer.finish();
}

function writeField(writer: ProtobufWriter, { number, type }: FieldForm, value: unknown): void {
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
      writeMessages(writer, { number, type }, value);
  }
}

function writeMessages(
  writer: ProtobufWriter,
  { number, type }: { number: number; type: string },
  value: unknown,
): void {
  const inner = type.slice(1, -1);
  if (type.startsWith('[')) {
    for (const item of value as unknown[]) writer.bytes(number, message(inner, item));
  } else if (type.startsWith('{')) {
    const map = writeMap(new ProtobufWriter(), { number: 1, type: inner }, value);
    writer.bytes(number, map);
  } else writer.bytes(number, message(type, value));
}

/** Maps are lists of pairs of name and value. */
function writeMap(
  writer: ProtobufWriter,
  { number, type }: { number: number; type: string },
  value: unknown,
): Buffer {
  for (const [name, member] of Object.entries(value as JsonObject)) {
    const pair = new ProtobufWriter().text(1, name).bytes(2, message(type, member));
    writer.bytes(number, pair.finish());
  }
  return writer.finish();
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
