import { describe, expect, it } from 'vitest';
import { customSchema } from './custom-schemas.ts';

const told = { kinds: [{ group: 'a', version: 'v1', kind: 'A' }], head: {} };
const spec = (properties: object) => ({ type: 'object', properties: { spec: properties } });

describe('a custom schema in v2', () => {
  it.each([
    [
      'says nothing of alternatives',
      {
        type: 'string',
        anyOf: [{ maxLength: 1 }],
        allOf: [{ minLength: 1 }],
        not: { enum: ['x'] },
      },
      { type: 'string' },
    ],
    [
      'leaves what may be null open, and does not demand it',
      {
        ...{ type: 'object', required: ['a', 'b'] },
        properties: { a: { type: 'string', nullable: true }, b: { type: 'string' } },
      },
      { type: 'object', required: ['b'], properties: { a: {}, b: { type: 'string' } } },
    ],
    [
      'leaves open what may hold anything',
      {
        ...{ type: 'object', 'x-kubernetes-preserve-unknown-fields': true },
        properties: { a: { type: 'string' } },
      },
      { 'x-kubernetes-preserve-unknown-fields': true },
    ],
    [
      'leaves a list of anything open',
      { type: 'array', items: { type: 'string' }, 'x-kubernetes-preserve-unknown-fields': true },
      { 'x-kubernetes-preserve-unknown-fields': true },
    ],
    [
      'keeps fields that are named like words of a schema, and defaults as they are',
      {
        type: 'object',
        properties: {
          nullable: { type: 'string' },
          oneOf: { type: 'object', default: { not: 1 } },
        },
      },
      {
        type: 'object',
        properties: {
          nullable: { type: 'string' },
          oneOf: { type: 'object', default: { not: 1 } },
        },
      },
    ],
  ])('%s', (_title, declared, published) => {
    const made = customSchema(spec(declared), told, 'v2');
    expect((made.properties as { spec: unknown }).spec).toEqual(published);
    const three = customSchema(spec(declared), told, 'v3');
    expect((three.properties as { spec: unknown }).spec).toEqual(declared);
  });

  it('that keeps what it does not know says nothing else, or kubectl would refuse that', () => {
    const free = { ...spec({ type: 'string' }), 'x-kubernetes-preserve-unknown-fields': true };
    expect(customSchema(free, told, 'v2')).toEqual({
      type: 'object',
      'x-kubernetes-group-version-kind': told.kinds,
    });
    expect(customSchema(free, told, 'v3')).toMatchObject(free);
  });
});
