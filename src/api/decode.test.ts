import { describe, expect, test } from 'vitest';
import { builtinSchema } from './builtin-schema.ts';
import { decodeObject } from './decode.ts';

const schema = builtinSchema();
const pod = (value: unknown) =>
  decodeObject(value, { schema, definition: 'io.k8s.api.core.v1.Pod', complete: false });

describe('decodeObject', () => {
  test('keeps what the schema knows and names the rest', () => {
    const { object, unknown } = pod({
      kind: 'Pod',
      foo: 1,
      spec: { containers: [{ name: 'a', bar: { deep: true } }], nodeName: null },
    });
    expect(object).toEqual({ kind: 'Pod', spec: { containers: [{ name: 'a' }] } });
    expect(unknown).toEqual(['unknown field "foo"', 'unknown field "spec.containers[0].bar"']);
  });

  test('brings quantities and times into canonical form', () => {
    const { object } = pod({
      metadata: { creationTimestamp: '2026-01-01T02:00:00.5+02:00' },
      spec: { containers: [{ name: 'a', resources: { limits: { memory: '1024Mi', cpu: 0.5 } } }] },
    });
    expect(object).toEqual({
      metadata: { creationTimestamp: '2026-01-01T00:00:00Z' },
      spec: { containers: [{ name: 'a', resources: { limits: { memory: '1Gi', cpu: '500m' } } }] },
    });
  });

  test('leaves out empty optional fields, keeps empty objects and meaningful empty text', () => {
    const { object } = pod({
      metadata: { labels: {}, name: '' },
      spec: {
        containers: [],
        volumes: [
          { name: 'v', emptyDir: {} },
          { name: 'h', hostPath: { path: '/', type: '' } },
        ],
      },
    });
    expect(object).toEqual({
      metadata: {},
      spec: {
        containers: [],
        volumes: [
          { name: 'v', emptyDir: {} },
          { name: 'h', hostPath: { path: '/', type: '' } },
        ],
      },
    });
  });

  test('gives missing required fields their zero value when asked to', () => {
    const { object } = decodeObject(
      { spec: {} },
      { schema, definition: 'io.k8s.api.core.v1.Pod', complete: true },
    );
    expect(object).toEqual({ spec: { containers: [] } });
  });

  test.each([
    [
      { spec: { containers: [{ env: [{ name: 'a', value: 1 }] }] } },
      'json: cannot unmarshal number 1 into Go struct field EnvVar.spec.containers.env.value of type string',
    ],
    [
      { spec: { containers: {} } },
      'json: cannot unmarshal object into Go struct field PodSpec.spec.containers of type []v1.Container',
    ],
    [
      { spec: { terminationGracePeriodSeconds: 'x' } },
      'json: cannot unmarshal string into Go struct field PodSpec.spec.terminationGracePeriodSeconds of type int64',
    ],
    [
      { spec: { containers: [{ ports: [{ containerPort: 99_999_999_999 }] }] } },
      'json: cannot unmarshal number 99999999999 into Go struct field ContainerPort.spec.containers.ports.containerPort of type int32',
    ],
    ['x', 'json: cannot unmarshal string into Go value of type v1.Pod'],
    [{ spec: { containers: [{ resources: { limits: { cpu: 'x' } } }] } }, /quantities must match/],
    [{ metadata: { creationTimestamp: 'soon' } }, /^parsing time "soon" as/],
  ])('%j is refused in Go words', (value, message) => {
    expect(() => pod(value)).toThrow(message);
  });

  test('keys named like prototype members stay data', () => {
    const body = JSON.parse('{"data":{"__proto__":"a","constructor":"b"},"__proto__":{"x":1}}');
    const { object, unknown } = decodeObject(body, {
      schema,
      definition: 'io.k8s.api.core.v1.ConfigMap',
    });
    expect(JSON.stringify(object)).toBe('{"data":{"__proto__":"a","constructor":"b"}}');
    expect(unknown).toEqual(['unknown field "__proto__"']);
    expect(({} as Record<string, unknown>).x).toBeUndefined();
  });
});
