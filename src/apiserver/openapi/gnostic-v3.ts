import { isObject, type JsonObject } from '../../util/json.ts';
import { ProtobufWriter } from '../../util/protobuf-writer.ts';
import { MessageWriter } from './message-writer.ts';

/** OpenAPI v3 in gnostic's protocol buffer form (github.com/google/gnostic openapiv3/OpenAPIv3.proto), which clients may ask for. */
const TABLE = `
Document openapi:1:text info:2:Info paths:4:Paths components:5:Components
Info title:1:text version:6:text
Components schemas:1:{SchemaOrRef} securitySchemes:7:{SecurityOrRef}
PathItem get:4:Operation put:5:Operation post:6:Operation delete:7:Operation options:8:Operation head:9:Operation patch:10:Operation parameters:13:[ParameterOrRef] x-*:14:any
Operation tags:1:texts description:3:text operationId:5:text parameters:6:[ParameterOrRef] requestBody:7:BodyOrRef responses:8:Responses x-*:13:any
Parameter name:1:text in:2:text description:3:text required:4:bool schema:10:SchemaOrRef
Body description:1:text content:2:{Media} required:3:bool
Response description:1:text content:3:{Media}
Media schema:1:SchemaOrRef
Reference $ref:1:text
Security type:1:text description:2:text name:3:text in:4:text
Schema nullable:1:bool example:7:any title:9:text multipleOf:10:double maximum:11:double exclusiveMaximum:12:bool minimum:13:double exclusiveMinimum:14:bool maxLength:15:int minLength:16:int pattern:17:text maxItems:18:int minItems:19:int uniqueItems:20:bool maxProperties:21:int minProperties:22:int required:23:texts enum:24:anys type:25:text allOf:26:[SchemaOrRef] oneOf:27:[SchemaOrRef] anyOf:28:[SchemaOrRef] not:29:Schema items:30:Items properties:31:{SchemaOrRef} additionalProperties:32:Additional default:33:Default description:34:text format:35:text x-*:36:any
`;

const WRITER = new MessageWriter(TABLE, {
  Paths: (value, writer) => writer.map(1, 'PathItem', value),
  Responses: (value, writer) => writer.map(2, 'ResponseOrRef', value),
  SchemaOrRef: schemaOrRef,
  ResponseOrRef: (value, writer) => writer.wrapped(1, 'Response', value),
  ParameterOrRef: (value, writer) => writer.wrapped(1, 'Parameter', value),
  BodyOrRef: (value, writer) => writer.wrapped(1, 'Body', value),
  SecurityOrRef: (value, writer) => writer.wrapped(1, 'Security', value),
  Items: (value, writer) => writer.wrapped(1, 'SchemaOrRef', value),
  Additional: (value, writer) =>
    typeof value === 'boolean'
      ? new ProtobufWriter().bool(2, value).finish()
      : writer.wrapped(1, 'SchemaOrRef', value),
  Default: defaultType,
});

/** The whole document in bytes. */
export function gnosticDocumentV3(document: JsonObject): Buffer {
  return WRITER.message('Document', document);
}

function schemaOrRef(value: unknown, writer: MessageWriter): Buffer {
  const refers = isObject(value) && value.$ref !== undefined;
  return writer.wrapped(refers ? 2 : 1, refers ? 'Reference' : 'Schema', value);
}

/** Only plain values have a form here; for others the message is there, and empty. */
function defaultType(value: unknown): Buffer {
  const writer = new ProtobufWriter();
  if (typeof value === 'number') writer.double(1, value);
  else if (typeof value === 'boolean') writer.bool(2, value);
  else if (typeof value === 'string') writer.text(3, value);
  return writer.finish();
}
