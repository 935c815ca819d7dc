import { describe, expect, it } from 'vitest';
import { builtinSchema } from '../../api/builtin-schema.ts';
import { cloneJson, type JsonObject } from '../../util/json.ts';
import { implyStructs } from './implied-structs.ts';
import { applyJsonPatch } from './json-patch.ts';

const schema = builtinSchema();

function patched(kind: string, object: JsonObject, operations: object[]): unknown {
  const document = cloneJson(object);
  const dropEmpty = implyStructs(document, operations, {
    schema,
    definition: `io.k8s.api.${kind}`,
  });
  const made = applyJsonPatch(document, operations);
  dropEmpty(made);
  return made;
}

describe('a JSON patch of a typed object', () => {
  it('reaches into a struct that has nothing in it yet', () => {
    const add = { op: 'add', path: '/status/allocation', value: { devices: {} } };
    expect(patched('resource.v1.ResourceClaim', { kind: 'ResourceClaim' }, [add])).toEqual({
      kind: 'ResourceClaim',
      status: { allocation: { devices: {} } },
    });
    const pod = { spec: { containers: [{ name: 'a' }] } };
    const limits = { op: 'add', path: '/spec/containers/0/resources/limits', value: { cpu: '1' } };
    expect(patched('core.v1.Pod', pod, [limits])).toEqual({
      spec: { containers: [{ name: 'a', resources: { limits: { cpu: '1' } } }] },
    });
    const replace = { op: 'replace', path: '/status', value: { phase: 'Running' } };
    expect(patched('core.v1.Pod', pod, [replace])).toEqual({ ...pod, status: replace.value });
  });

  it('leaves nothing behind where it only looked', () => {
    const test = { op: 'test', path: '/status/phase', value: null };
    expect(patched('core.v1.Pod', { kind: 'Pod' }, [test])).toEqual({ kind: 'Pod' });
  });

  it.each([
    '/spec/securityContext/runAsUser',
    '/metadata/labels/a',
    '/spec/containers/0/lifecycle/x',
  ])('does not reach %s, which nothing holds', (path) => {
    const add = { op: 'add', path, value: 1 };
    const pod = { metadata: {}, spec: { containers: [{ name: 'a' }] } };
    expect(() => patched('core.v1.Pod', pod, [add])).toThrow('doc is missing path');
  });
});
