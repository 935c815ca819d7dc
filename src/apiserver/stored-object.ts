import type { KubeObject } from '../api/types.ts';
import { parseJson } from '../util/exact-json.ts';

/**
 * Objects are stored as JSON without their resourceVersion, since the store assigns it: it is spliced in behind
 * `"metadata":{`. So the bytes that a client gets are made without parsing.
 */
const HEAD = /^\{"(?:apiVersion|kind)":"[^"]*","(?:apiVersion|kind)":"[^"]*","metadata":\{/;
const HEAD_MAX = 512;
const FIELD = '"resourceVersion":"';

/** The bytes to store. `object` loses its resourceVersion. */
export function encodeForStore(object: KubeObject): Buffer {
  delete object.metadata.resourceVersion;
  const { apiVersion, kind, metadata, ...rest } = object;
  return Buffer.from(JSON.stringify({ apiVersion, kind, metadata, ...rest }));
}

export interface ServedBytes {
  readonly bytes: Buffer;
  /** Where the digits of the resourceVersion start. */
  readonly versionAt: number;
}

/** Stored bytes with their resourceVersion in them. */
export function withRevision(stored: Buffer, revision: number): ServedBytes {
  const head = HEAD.exec(stored.toString('latin1', 0, HEAD_MAX))?.[0];
  // Another writer of the store put the fields in another order.
  if (!head) return withRevision(encodeForStore(parseObject(stored)), revision);
  const field = `${FIELD}${revision}",`;
  // Not from the shared pool: a small object must not keep its neighbours' memory alive.
  const bytes = Buffer.allocUnsafeSlow(stored.length + field.length);
  stored.copy(bytes, 0, 0, head.length);
  bytes.write(field, head.length, 'latin1');
  stored.copy(bytes, head.length + field.length, head.length);
  return { bytes, versionAt: head.length + FIELD.length };
}

const BEFORE_VERSION = `"metadata":{${FIELD}`.length;

/** The bytes of an object from its metadata on: without its first brace, apiVersion and kind. */
export function fromMetadata({ bytes, versionAt }: ServedBytes): Buffer {
  return bytes.subarray(versionAt - BEFORE_VERSION);
}

/** The same object with another resourceVersion. */
export function replaceRevision(served: ServedBytes, revision: number): ServedBytes {
  const { bytes, versionAt } = served;
  const end = bytes.indexOf(0x22, versionAt);
  const digits = String(revision);
  const out = Buffer.allocUnsafeSlow(bytes.length - (end - versionAt) + digits.length);
  bytes.copy(out, 0, 0, versionAt);
  out.write(digits, versionAt, 'latin1');
  bytes.copy(out, versionAt + digits.length, end);
  return { bytes: out, versionAt };
}

export function parseObject(bytes: Buffer): KubeObject {
  return parseJson(bytes.toString()) as KubeObject;
}
