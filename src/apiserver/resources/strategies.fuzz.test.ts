import { describe, expect, test } from 'vitest';
import { fc } from '../../../test/support/properties.ts';
import { builtinSchema } from '../../api/builtin-schema.ts';
import { DecodeError, decodeObject } from '../../api/decode.ts';
import type { TypeRef } from '../../api/schema.ts';
import type { KubeObject } from '../../api/types.ts';
import type { ResourceKind } from '../resource-kind.ts';
import { builtinKinds } from './registry.ts';

// Objects that have the right types and otherwise any content: no strategy may fail on them, for a failure
// there is a 500 where the client deserves to hear what is wrong.

const schema = builtinSchema();
const context = { user: { name: 'u', groups: ['g'] }, dryRun: false, now: 0, warn: () => {} };
const text = fc.constantFrom('', 'a', 'A b', 'a.b/c', '10.0.0.1', '10%', 'Always', 'TCP', '-');
const MAX_DEPTH = 7;

function arbitraryOf(type: TypeRef, depth: number): fc.Arbitrary<unknown> {
  switch (type.kind) {
    case 'string':
      return text;
    case 'bytes':
      return fc.constantFrom('', 'YQ==');
    case 'boolean':
      return fc.boolean();
    case 'int32':
    case 'int64':
      return fc.constantFrom(-1, 0, 1, 80, 70_000);
    case 'double':
      return fc.constantFrom(0, 0.5);
    case 'intOrString':
      return fc.constantFrom(0, 80, 'http', '25%', '');
    case 'quantity':
      return fc.constantFrom('0', '100m', '1Gi', '-1');
    case 'time':
    case 'microTime':
      return fc.constantFrom('2026-01-01T00:00:00Z');
    case 'any':
      return fc.constantFrom({}, { a: 1 });
    case 'array':
      return fc.array(arbitraryOf(type.of, depth + 1), { maxLength: 2 });
    case 'map':
      return fc.dictionary(text, arbitraryOf(type.of, depth + 1), { maxKeys: 2 });
    case 'object':
      return objectOf(type.name, depth + 1);
  }
}

function objectOf(name: string, depth: number): fc.Arbitrary<Record<string, unknown>> {
  const fields = schema.definition(name)?.fields;
  if (!fields || depth > MAX_DEPTH) return fc.constant({});
  const model = Object.fromEntries(
    [...fields].map(([field, { type }]) => [
      field,
      // Few fields at a time, so that what is said about one is not drowned by the others.
      fc.option(
        fc.constant(undefined).chain(() => arbitraryOf(type, depth)),
        { nil: undefined, freq: 2 },
      ),
    ]),
  );
  return fc.record(model);
}

function typed(kind: ResourceKind, value: unknown): KubeObject | undefined {
  try {
    const { object } = decodeObject(value, { schema, definition: kind.definition });
    const out = object as KubeObject;
    out.metadata ??= {};
    return out;
  } catch (err) {
    if (err instanceof DecodeError) return undefined;
    throw err;
  }
}

function exercise(kind: ResourceKind, object: KubeObject, old: KubeObject): void {
  const { strategy } = kind;
  for (const each of [object, old]) {
    strategy.default?.(each);
    strategy.prepareForCreate?.(each, context);
    strategy.validate?.(each, context);
  }
  const views = Object.values(kind.subresources).filter((sub) => sub.type === 'view');
  for (const written of [strategy, ...views.map((view) => view.strategy)]) {
    const next = structuredClone(object);
    written.prepareForUpdate?.(next, old, context);
    written.validateUpdate?.(next, old, context);
    written.warnings?.(next, old);
    expect(kind.row(next, 0)).toHaveLength(kind.columns.length);
    kind.rowConditions?.(next);
    kind.fieldsOf?.(next);
  }
  for (const sub of Object.values(kind.subresources)) {
    if (sub.type === 'scale') sub.selectorOf(object);
  }
  if (kind.storedAs) kind.storedAs.fromStored(kind.storedAs.toStored(object));
}

describe('no strategy fails on an object of the right types', () => {
  test.each(builtinKinds().map((k) => [`${k.group}/${k.version} ${k.kind}`, k] as const))(
    '%s',
    (_name, kind) => {
      const objects = objectOf(kind.definition, 0);
      fc.assert(
        fc.property(objects, objects, (a, b) => {
          const [object, old] = [typed(kind, a), typed(kind, b)];
          if (object && old) exercise(kind, object, old);
        }),
        { numRuns: 40 },
      );
    },
  );
});
