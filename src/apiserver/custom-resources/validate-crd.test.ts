import { describe, expect, it } from 'vitest';
import type { Crd } from './custom-kind.ts';
import { validateCrd } from './validate-crd.ts';

const AT = 'spec.versions[0].schema.openAPIV3Schema';

/** `FIELD: MESSAGE` of everything wrong with a definition of one version. */
function refusals(schema: object, version: object = {}): string[] {
  const crd = {
    metadata: { name: 'things.example.com' },
    spec: {
      group: 'example.com',
      scope: 'Namespaced',
      names: { plural: 'things', singular: 'thing', kind: 'Thing', listKind: 'ThingList' },
      versions: [
        {
          ...{ name: 'v1', served: true, storage: true },
          schema: { openAPIV3Schema: schema },
          ...version,
        },
      ],
    },
  };
  return validateCrd(crd as unknown as Crd).map(({ field, message }) =>
    `${field}: ${message}`.replace(`${AT}.`, ''),
  );
}

const object = (properties: object, more: object = {}) => ({ type: 'object', properties, ...more });
const spec = (schema: object) => object({ spec: schema });
const keyed = (items: object) => ({
  ...{ type: 'array', 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': ['a'] },
  items,
});
const ruled = (rule: object) =>
  spec(object({ a: { type: 'string' } }, { 'x-kubernetes-validations': [rule] }));
const PROPERTY = 'properties[spec]';
const RULE = `${PROPERTY}.x-kubernetes-validations[0]`;
const METADATA =
  'properties[metadata]: Forbidden: must not specify anything other than name and generateName, but metadata is implicitly specified';

describe('a schema is refused that', () => {
  it.each<[string, object, ...string[]]>([
    ['is good', spec(keyed(object({ a: { type: 'string' } }, { required: ['a'] })))],
    [
      'refers',
      spec({ type: 'object', $ref: '#/x' }),
      `${PROPERTY}.$ref: Forbidden: $ref is not supported`,
    ],
    [
      'has a set of objects that have parts',
      spec({ type: 'array', 'x-kubernetes-list-type': 'set', items: object({}) }),
      `${PROPERTY}.items.x-kubernetes-map-type: Invalid value: null: must be atomic as item of a list with x-kubernetes-list-type=set`,
    ],
    [
      'has a set of whole objects',
      spec({
        ...{ type: 'array', 'x-kubernetes-list-type': 'set' },
        items: object({}, { 'x-kubernetes-map-type': 'atomic' }),
      }),
    ],
    [
      'has a set of sets',
      spec({
        ...{ type: 'array', 'x-kubernetes-list-type': 'set' },
        items: { type: 'array', 'x-kubernetes-list-type': 'set', items: { type: 'string' } },
      }),
      `${PROPERTY}.items.x-kubernetes-list-type: Invalid value: "set": must be atomic as item of a list with x-kubernetes-list-type=set`,
    ],
    [
      'has keys that may be missing',
      spec(keyed(object({ a: { type: 'string' } }))),
      `${PROPERTY}.items.properties[a].default: Required value: this property is in x-kubernetes-list-map-keys, so it must have a default or be a required property`,
    ],
    [
      'keys what are no objects',
      spec(keyed({ type: 'string' })),
      `${PROPERTY}.x-kubernetes-list-map-keys[0]: Invalid value: "a": entries must all be names of item properties`,
      `${PROPERTY}.items.type: Invalid value: "string": must be object if parent array's x-kubernetes-list-type is map`,
    ],
    ['narrows the name', object({ metadata: object({ name: { type: 'string', maxLength: 9 } }) })],
    ['narrows labels', object({ metadata: object({ labels: { type: 'object' } }) }), METADATA],
    [
      'half preserves',
      spec({ type: 'object', 'x-kubernetes-preserve-unknown-fields': false }),
      `${PROPERTY}.x-kubernetes-preserve-unknown-fields: Invalid value: false: must be true or undefined`,
    ],
    [
      'has a rule of an unknown reason',
      ruled({ rule: 'true', reason: 'X' }),
      `${RULE}.reason: Unsupported value: "X": supported values: "FieldValueRequired", "FieldValueForbidden", "FieldValueInvalid", "FieldValueDuplicate"`,
    ],
    [
      'has a rule about nothing',
      ruled({ rule: 'true', fieldPath: '.b' }),
      `${RULE}.fieldPath: Invalid value: ".b": fieldPath must be a valid path: does not refer to a valid field`,
    ],
    ['has a rule about a field', ruled({ rule: 'true', fieldPath: '.a' })],
    [
      'has a rule of two lines and no words',
      ruled({ rule: 'true &&\ntrue' }),
      `${RULE}.message: Required value: message must be specified if rule contains line breaks`,
    ],
  ])('%s', (_what, schema, ...errors) => {
    expect(refusals(schema)).toEqual(errors);
  });
});

describe('a version is refused whose', () => {
  const schema = spec(object({ n: { type: 'integer' }, o: { type: 'object' } }));
  const selects = (jsonPath: string) => ({ selectableFields: [{ jsonPath }] });
  const column = (more: object) => ({
    additionalPrinterColumns: [{ name: 'N', type: 'integer', jsonPath: '.spec.n', ...more }],
  });
  const scales = (specReplicasPath: string) => ({
    subresources: { scale: { specReplicasPath, statusReplicasPath: '.status.n' } },
  });

  it.each<[string, object, ...string[]]>([
    ['columns are good', column({ format: 'int32' })],
    [
      'columns have another type',
      column({ type: 'x' }),
      'spec.versions[0].additionalPrinterColumns[0].type: Invalid value: "x": must be one of boolean,date,integer,number,string',
    ],
    [
      'columns have no place',
      column({ jsonPath: 'spec' }),
      'spec.versions[0].additionalPrinterColumns[0].jsonPath: Invalid value: "spec": must be a simple json path starting with .',
    ],
    ['scale is good', scales('.spec.n')],
    [
      'scale is elsewhere',
      scales('.status.n'),
      'spec.versions[0].subresources.scale.specReplicasPath: Invalid value: ".status.n": should be a json path under .spec',
    ],
    ['fields select', selects('.spec.n')],
    [
      'fields are objects',
      selects('.spec.o'),
      'spec.versions[0].selectableFields[0].jsonPath: Invalid value: ".spec.o": must point to a field of type string, boolean or integer. Enum string fields and strings with formats are allowed.',
    ],
    [
      'fields are nothing',
      selects('.spec.x'),
      'spec.versions[0].selectableFields[0].jsonPath: Invalid value: ".spec.x": is an invalid path: does not refer to a valid field',
    ],
  ])('%s', (_what, version, ...errors) => {
    expect(refusals(schema, version)).toEqual(errors);
  });
});
