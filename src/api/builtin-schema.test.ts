import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { builtinSchema } from './builtin-schema.ts';

const schema = builtinSchema();
const byShortName = new Map([...schema.names()].map((n) => [n.split('.').slice(-3).join('.'), n]));

const url = new URL('../../test/fixtures/upstream/merge-keys.tsv', import.meta.url);
const facts = readFileSync(url, 'utf8')
  .trimEnd()
  .split('\n')
  .slice(1)
  .map((line) => line.split('\t'));

describe('the built-in schema', () => {
  test('merges every list, map and object as upstream does', () => {
    for (const [definition = '', field = '', strategy, key, listType, listKeys, mapType] of facts) {
      const known = schema.definition(byShortName.get(definition) ?? '');
      const own = field === '' ? { mapType: known?.mapType } : known?.fields.get(field);
      expect({ definition, field, ...pick(own) }).toEqual({
        definition,
        field,
        patchStrategy: strategy || undefined,
        patchMergeKey: key || undefined,
        listType: listType || undefined,
        listMapKeys: listKeys ? listKeys.split(',') : undefined,
        mapType: mapType || undefined,
      });
    }
  });

  test('refers only to definitions that exist', () => {
    for (const name of schema.names()) {
      for (const [field, { type }] of schema.definition(name)?.fields ?? []) {
        let inner = type;
        while (inner.kind === 'array' || inner.kind === 'map') inner = inner.of;
        if (inner.kind !== 'object') continue;
        expect(schema.definition(inner.name), `${name}.${field}`).toBeDefined();
      }
    }
  });

  test('knows types, required fields and descriptions', () => {
    const container = schema.definition('io.k8s.api.core.v1.Container');
    expect(container?.description).toContain('container');
    expect(container?.fields.get('name')).toMatchObject({
      required: true,
      type: { kind: 'string' },
    });
    expect(container?.fields.get('image')?.description).toContain('image');
    const port = schema.definition('io.k8s.api.core.v1.ServicePort')?.fields.get('targetPort');
    expect(port?.type).toEqual({ kind: 'intOrString' });
    const limits = schema
      .definition('io.k8s.api.core.v1.ResourceRequirements')
      ?.fields.get('limits');
    expect(limits?.type).toEqual({ kind: 'map', of: { kind: 'quantity' } });
    expect(schema.definition('constructor')).toBeUndefined();
  });
});

function pick(fact: Record<string, unknown> | object | undefined): Record<string, unknown> {
  const known = (fact ?? {}) as Record<string, unknown>;
  const names = ['patchStrategy', 'patchMergeKey', 'listType', 'listMapKeys', 'mapType'];
  return Object.fromEntries(names.map((name) => [name, known[name]]));
}
