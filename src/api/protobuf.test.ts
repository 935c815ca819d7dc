import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { builtinSchema } from './builtin-schema.ts';
import { decodeProtobuf } from './protobuf.ts';
import { ProtobufError } from './protobuf-reader.ts';

interface Pair {
  json: { kind: string };
  /** The same object as a Go client sends it, in base64. */
  protobuf: string;
}

const PAIRS = JSON.parse(
  readFileSync(new URL('../../test/fixtures/protobuf.json', import.meta.url), 'utf8'),
) as Pair[];
const schema = builtinSchema();

describe('decodeProtobuf', () => {
  it.each(PAIRS.map((p) => [p.json.kind, p] as const))('reads a %s', (_kind, pair) => {
    const object = decodeProtobuf(Buffer.from(pair.protobuf, 'base64'), schema);
    expect(object).toMatchObject(pair.json);
  });

  it('leaves out what the Go encoder writes for fields that nobody set', () => {
    const deployment = PAIRS.find((p) => p.json.kind === 'Deployment') as Pair;
    const object = decodeProtobuf(Buffer.from(deployment.protobuf, 'base64'), schema);
    expect(object.metadata).toEqual({ name: 'd' });
    expect(object).not.toHaveProperty('spec.paused');
  });

  it.each([
    ['no envelope', Buffer.from('{}')],
    ['an unknown kind', Buffer.from('k8s\0\x0a\x09\x0a\x02v1\x12\x03Foo')],
    ['nothing behind the magic', Buffer.from('k8s\0')],
  ])('refuses %s', (_what, bytes) => {
    expect(() => decodeProtobuf(bytes, schema)).toThrow(ProtobufError);
  });

  it('refuses every truncation of a message or reads a shorter object, and never hangs', () => {
    const bytes = Buffer.from(PAIRS[0]?.protobuf ?? '', 'base64');
    for (let length = 0; length < bytes.length; length++) {
      try {
        decodeProtobuf(bytes.subarray(0, length), schema);
      } catch (err) {
        expect(err).toBeInstanceOf(ProtobufError);
      }
    }
  });
});
