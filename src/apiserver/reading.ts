import { encodeYaml } from '../api/encoding.ts';
import { badRequest } from '../api/errors.ts';
import { parseJson } from '../util/exact-json.ts';
import { gzipped, wantsGzip } from './compression.ts';
import { type Exchange, send, writeHead } from './exchange.ts';
import { MEDIA_TYPES, negotiate } from './negotiation.ts';
import { type IncludeObject, type Shape, shapeObject } from './representation.ts';
import type { ResourceKind } from './resource-kind.ts';

/** In what shape this request wants its objects. */
export function shapeOf({ req, query }: Exchange, kind: ResourceKind, now: number): Shape {
  const includeObject = query.get('includeObject') || 'Metadata';
  if (!['None', 'Metadata', 'Object'].includes(includeObject)) {
    throw badRequest(`unrecognized includeObject value: ${JSON.stringify(includeObject)}`);
  }
  return {
    representation: negotiate(req.headers.accept),
    kind,
    includeObject: includeObject as IncludeObject,
    now,
  };
}

const NEWLINE = Buffer.from('\n');

/** Answers with one object, given as its JSON bytes in stored form. */
export async function sendObject(
  exchange: Exchange,
  code: number,
  shape: Shape,
  bytes: Buffer,
): Promise<void> {
  await sendJson(exchange, code, shapeObject(shape, bytes), shape.representation.format);
}

/** Answers a request whose result is that it was done. */
export async function sendSuccess(exchange: Exchange, code: number): Promise<void> {
  const status = { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success', code };
  await sendJson(exchange, code, Buffer.from(JSON.stringify(status)), 'json');
}

/** Answers with JSON text, or the same as YAML. */
export async function sendJson(
  exchange: Exchange,
  code: number,
  json: Buffer,
  format: 'json' | 'yaml',
): Promise<void> {
  if (format === 'json') {
    const indent = wantsPretty(exchange);
    const body = indent ? prettyPrint(json) : Buffer.concat([json, NEWLINE]);
    await sendBody(exchange, code, body, MEDIA_TYPES.json);
    return;
  }
  const text = await encodeYaml(parseJson(json.toString()));
  await sendBody(exchange, code, Buffer.from(text), MEDIA_TYPES.yaml);
}

async function sendBody(
  exchange: Exchange,
  code: number,
  body: Buffer,
  type: string,
): Promise<void> {
  if (!wantsGzip(exchange, body.length)) {
    send(exchange, code, body, { 'Content-Type': type });
    return;
  }
  const { body: small, headers } = await gzipped(body);
  exchange.audit?.sawResponse(code, body);
  writeHead(exchange, code, { 'Content-Length': small.length, 'Content-Type': type, ...headers });
  exchange.res.end(small);
}

/** `?pretty=1`, or a person at a browser or curl. */
function wantsPretty({ query, req }: Exchange): boolean {
  const asked = query.get('pretty');
  if (asked !== null) return asked !== 'false' && asked !== '0';
  return /^(curl|Wget|Mozilla\/5\.0)/.test(req.headers['user-agent'] ?? '');
}

function prettyPrint(json: Buffer): Buffer {
  return Buffer.from(`${JSON.stringify(parseJson(json.toString()), undefined, 2)}\n`);
}
