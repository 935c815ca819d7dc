import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { builtinSchema } from '../../api/builtin-schema.ts';
import { decodeObject } from '../../api/decode.ts';
import type { Definition, TypeRef } from '../../api/schema.ts';
import type { KubeObject } from '../../api/types.ts';
import type { ResourceKind } from '../resource-kind.ts';
import { builtinKinds } from './registry.ts';

// Upstream's unconditional defaults, one by one: an object is made that has the definition somewhere and says
// nothing of the field; after defaulting the field must hold the value.

const schema = builtinSchema();
const url = new URL('../../../test/fixtures/upstream/defaults.tsv', import.meta.url);

/** A plain word, number or boolean that holds whatever else the object says. */
const PLAIN = /^(-?\d+|true|false|\*|""|\{\}|[A-Za-z][A-Za-z-]*|\/[\w/-]*|\d+%)$/;

const LEFT_OUT = new Set([
  'core.v1.LocalObjectReference.name',
  'core.v1.ReplicationControllerSpec.minReadySeconds',
]);

const facts = readFileSync(url, 'utf8')
  .trimEnd()
  .split('\n')
  .slice(1)
  .map((line) => line.split('\t'))
  .filter(([, field = '', value = '', when = '']) => {
    const plain = PLAIN.test(value) && /^[\w.]+$/.test(field);
    return plain && (when === '' || when === '= octal 0644');
  })
  // Upstream's encoder leaves these empty values out again.
  .filter(([definition, field]) => !LEFT_OUT.has(`${definition}.${field}`))
  // Sub-resources and reviews have handlers of their own.
  .filter(
    ([definition = '']) =>
      !/^(autoscaling.v1.ScaleSpec|authentication|.*v1(alpha|beta))/.test(definition),
  );

/** The way from a kind's root to a definition: field names, `[]` for into a list. */
function pathTo(kind: ResourceKind, target: string): string[] | undefined {
  const queue: [string, string[]][] = [[kind.definition, []]];
  const seen = new Set<string>();
  for (let next = queue.shift(); next; next = queue.shift()) {
    const [name, path] = next;
    if (name.endsWith(`.${target}`)) return path;
    if (seen.has(name)) continue;
    seen.add(name);
    for (const [field, { type }] of schema.definition(name)?.fields ?? []) {
      if (type.kind === 'object') queue.push([type.name, [...path, field]]);
      if (type.kind === 'array' && type.of.kind === 'object') {
        queue.push([type.of.name, [...path, field, '[]']]);
      }
    }
  }
  return undefined;
}

function build(path: readonly string[]): Record<string, unknown> {
  const [field, ...rest] = path;
  if (field === undefined) return {};
  return rest[0] === '[]' ? { [field]: [build(rest.slice(1))] } : { [field]: build(rest) };
}

function read(object: unknown, path: readonly string[]): unknown {
  return path.reduce<unknown>((value, step) => {
    const key = step === '[]' ? 0 : step;
    return (value as Record<string | number, unknown> | undefined)?.[key];
  }, object);
}

function parsed(value: string, type: TypeRef | undefined): unknown {
  if (value === '""') return '';
  if (value === '{}') return {};
  if (value === 'true' || value === 'false') return value === 'true';
  return type?.kind === 'string' || type?.kind === 'quantity' || !/^-?\d+$/.test(value)
    ? value
    : Number(value);
}

function typeAt(definition: Definition | undefined, path: readonly string[]): TypeRef | undefined {
  const [head = '', ...rest] = path;
  const type = definition?.fields.get(head)?.type;
  if (rest.length === 0 || type?.kind !== 'object') return type;
  return typeAt(schema.definition(type.name), rest);
}

describe('defaults that hold whatever else is said', () => {
  test.each(facts.map(([definition = '', field = '', value = '']) => [definition, field, value]))(
    '%s.%s is %s',
    (definition = '', field = '', value = '') => {
      const found = builtinKinds()
        .map((kind) => ({ kind, path: pathTo(kind, definition) }))
        .filter((f) => f.path !== undefined && !f.kind.virtual)
        .sort((a, b) => (a.path?.length ?? 0) - (b.path?.length ?? 0));
      const { kind, path = [] } = found[0] ?? {};
      if (!kind) throw new Error(`no kind holds ${definition}`);
      const { object } = decodeObject(build(path), { schema, definition: kind.definition });
      object.metadata ??= { name: 'a' };
      kind.strategy.default?.(object as KubeObject);
      const steps = field.split('.');
      const own = [...schema.names()].find((name) => name.endsWith(`.${definition}`)) ?? '';
      const wanted = parsed(value, typeAt(schema.definition(own), steps));
      expect(read(object, [...path, ...steps])).toEqual(wanted);
    },
  );
});
