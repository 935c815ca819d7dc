import { describe, expect, test } from 'vitest';
import { validateObjectMeta, validateObjectMetaUpdate } from './metadata-validation.ts';
import {
  configMapKey,
  dns1035Label,
  dns1123Label,
  dns1123Subdomain,
  looseSubdomain,
  nameCheck,
} from './names.ts';
import type { ObjectMeta } from './types.ts';

const rules = { namespaced: true, validateName: nameCheck(dns1123Subdomain) };
const text = (meta: ObjectMeta) =>
  validateObjectMeta(meta, rules).map((e) => `${e.field}: ${e.message}`);

describe('validateObjectMeta', () => {
  test('accepts ordinary metadata', () => {
    expect(
      text({
        name: 'web.example',
        namespace: 'default',
        labels: { app: 'web', 'example.com/tier': '' },
        annotations: { 'Example.com/Note': 'any text\n' },
        finalizers: ['example.com/hold'],
      }),
    ).toEqual([]);
  });

  test.each([
    [
      {},
      [
        'metadata.name: Required value: name or generateName is required',
        'metadata.namespace: Required value',
      ],
    ],
    [
      { name: 'Web', namespace: 'default' },
      [
        "metadata.name: Invalid value: \"Web\": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')",
      ],
    ],
    [
      { name: 'a', namespace: 'default', labels: { 'a b': 'c' } },
      [
        "metadata.labels: Invalid value: \"a b\": name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')",
      ],
    ],
    [
      { name: 'a', namespace: 'default', annotations: { a: 'x'.repeat(262_144) } },
      ['metadata.annotations: Too long: may not be more than 262144 bytes'],
    ],
    [
      { name: 'a', namespace: 'default', finalizers: ['orphan', 'foregroundDeletion'] },
      [
        'metadata.finalizers: Invalid value: ["orphan","foregroundDeletion"]: finalizer orphan and foregroundDeletion cannot be both set',
      ],
    ],
  ] as [ObjectMeta, string[]][])('%#: names what is wrong', (meta, expected) => {
    expect(text(meta)).toEqual(expected);
  });

  test('a cluster-scoped object has no namespace', () => {
    const errors = validateObjectMeta(
      { name: 'a', namespace: 'b' },
      { ...rules, namespaced: false },
    );
    expect(errors.map((e) => e.message)).toEqual(['Forbidden: not allowed on this type']);
  });

  test('two controllers are one too many', () => {
    const owner = { apiVersion: 'v1', kind: 'Pod', name: 'a', uid: '1', controller: true };
    const errors = text({
      name: 'a',
      namespace: 'b',
      ownerReferences: [owner, { ...owner, name: 'c' }],
    });
    expect(errors[0]).toContain(
      'Only one reference can have Controller set to true. Found "true" in references for Pod/a and Pod/c',
    );
  });
});

test('an update keeps identity and adds no finalizer to a dying object', () => {
  const old: ObjectMeta = {
    name: 'a',
    namespace: 'b',
    uid: '1',
    resourceVersion: '1',
    deletionTimestamp: '2026-01-01T00:00:00Z',
    finalizers: ['x.io/a'],
  };
  const errors = validateObjectMetaUpdate(
    { ...old, uid: '2', resourceVersion: '', finalizers: ['x.io/a', 'x.io/b'] },
    old,
  );
  expect(errors.map((e) => `${e.field}: ${e.message}`)).toEqual([
    'metadata.finalizers: Forbidden: no new finalizers can be added if the object is being deleted, found new finalizers []string{"x.io/b"}',
    'metadata.resourceVersion: Invalid value: "": must be specified for an update',
    'metadata.uid: Invalid value: "2": field is immutable',
  ]);
});

test('names of other shapes', () => {
  expect(dns1123Label('a.b')).toEqual(['must not contain dots']);
  expect(dns1123Label('a'.repeat(64))).toEqual(['must be no more than 63 bytes']);
  expect(dns1035Label('1a')[0]).toContain('a DNS-1035 label must consist of');
  expect(looseSubdomain('_sip._tcp.abc_d.example.com')).toEqual([]);
  expect(looseSubdomain('abc_.example.com')[0]).toContain(
    "alphanumeric characters, '_', '-' or '.'",
  );
  expect(configMapKey('..')).toEqual(["must not be '..'"]);
  expect(configMapKey('a/b')[0]).toContain('a valid config key must consist of');
  expect(nameCheck(dns1123Subdomain)('web-', true)).toEqual([]);
  expect(nameCheck(dns1123Subdomain)('web-', false)).toHaveLength(1);
});
