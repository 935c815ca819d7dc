import { isObject, type JsonObject } from '../../util/json.ts';
import { ProtobufWriter } from '../../util/protobuf-writer.ts';
import { MessageWriter, textList } from './message-writer.ts';

/** OpenAPI v2 in gnostic's protocol buffer form (github.com/google/gnostic openapiv2/OpenAPIv2.proto), which client-go's discovery asks for. */
const TABLE = `
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
`;

const WRITER = new MessageWriter(TABLE, {
  Paths: (value, writer) => writer.map(2, 'PathItem', value),
  Requirement: (value, writer) => writer.map(1, 'StringArray', value),
  StringArray: textList,
  TypeItem: (value) => textList(Array.isArray(value) ? value : [value]),
  ItemsItem: (value, writer) => writer.wrapped(1, 'Schema', value),
  Additional: (value, writer) =>
    typeof value === 'boolean'
      ? new ProtobufWriter().bool(2, value).finish()
      : writer.wrapped(1, 'Schema', value),
  Security: (value, writer) => writer.wrapped(2, 'ApiKey', value),
  SchemaItem: (value, writer) => writer.wrapped(1, 'Schema', value),
  Responses: (value, writer) => writer.map(1, 'ResponseValue', value),
  ResponseValue: (value, writer) => writer.wrapped(1, 'Response', value),
  ParametersItem: parameter,
});

/** The whole document in bytes. */
export function gnosticDocument(document: JsonObject): Buffer {
  return WRITER.message('Document', document);
}

/** ParametersItem → Parameter → one of its kinds. */
function parameter(value: unknown, writer: MessageWriter): Buffer {
  const place = isObject(value) ? value.in : '';
  const wrap = (number: number, bytes: Buffer) =>
    new ProtobufWriter().bytes(number, bytes).finish();
  if (place === 'body') return wrap(1, writer.wrapped(1, 'Body', value));
  const other =
    place === 'path' ? writer.wrapped(4, 'Path', value) : writer.wrapped(3, 'Query', value);
  return wrap(1, wrap(2, other));
}
