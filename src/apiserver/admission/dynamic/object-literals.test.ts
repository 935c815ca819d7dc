import { describe, expect, it } from 'vitest';
import { withoutObjectTypes } from './object-literals.ts';

describe('withoutObjectTypes', () => {
  it.each([
    ['Object{spec: Object.spec{replicas: 3}}', '{"spec": {"replicas": 3}}'],
    [
      'Object{metadata: Object.metadata{labels: {"Object{": "a, b: c"}}, spec: x}',
      '{"metadata": {"labels": {"Object{": "a, b: c"}}, "spec": x}',
    ],
    [
      '[JSONPatch{op: "add", path: "/a/" + jsonpatch.escapeKey("b/c"), value: f(a, b ? c : d)}]',
      '[{"op": "add", "path": "/a/" + jsonpatch.escapeKey("b/c"), "value": f(a, b ? c : d)}]',
    ],
    ['Object{}', '{}'],
    ['object.Object', 'object.Object'],
    [
      'Object{ spec: Object.spec{ a: [Object.spec.a{ n: 1, m: 2 }], b: {"k": v, "l": w} } }',
      '{ "spec": { "a": [{ "n": 1, "m": 2 }], "b": {"k": v, "l": w} } }',
    ],
  ])('%s', (expression, wanted) => {
    expect(withoutObjectTypes(expression)).toBe(wanted);
  });
});
