import { describe, expect, it } from 'vitest';
import { documentBelow, mergeDocuments } from './merge-v2.ts';

const ref = (name: string) => ({ $ref: `#/definitions/${name}` });
const kind = (name: string) => ({
  'x-kubernetes-group-version-kind': [{ group: 'g', version: 'v1', kind: name }],
});

describe('documentBelow', () => {
  it('keeps the paths below a prefix and what they refer to, in a circle too', () => {
    const document = {
      paths: { '/apis/g/v1/a': { get: ref('A') }, '/apis/g/v10/b': { get: ref('B') } },
      definitions: { A: { items: ref('C') }, B: {}, C: { items: ref('A') } },
    };
    expect(documentBelow(document, '/apis/g/v1/')).toEqual({
      paths: { '/apis/g/v1/a': { get: ref('A') } },
      definitions: { A: { items: ref('C') }, C: { items: ref('A') } },
    });
  });
});

describe('mergeDocuments', () => {
  it('leaves a path to who had it first', () => {
    const merged = mergeDocuments({ paths: { '/a': 1 } }, { paths: { '/a': 2, '/b': 3 } });
    expect(merged.paths).toEqual({ '/a': 1, '/b': 3 });
  });

  it('shares definitions that say the same, with the kinds of both', () => {
    const merged = mergeDocuments(
      { definitions: { A: { type: 'object', ...kind('One') } } },
      { paths: { '/b': ref('A') }, definitions: { A: { type: 'object', ...kind('Two') } } },
    );
    expect(merged.definitions).toEqual({
      A: {
        type: 'object',
        'x-kubernetes-group-version-kind': [
          { group: 'g', version: 'v1', kind: 'One' },
          { group: 'g', version: 'v1', kind: 'Two' },
        ],
      },
    });
    expect(merged.paths).toEqual({ '/b': ref('A') });
  });

  it('renames those that differ, those that refer to them, and every reference', () => {
    const merged = mergeDocuments(
      { definitions: { A: { items: ref('B') }, B: { type: 'string' }, B_v2: {} } },
      {
        paths: { '/b': [ref('A'), ref('New')] },
        definitions: { A: { items: ref('B') }, B: { type: 'object' }, New: { items: ref('B') } },
      },
    );
    expect(merged.definitions).toEqual({
      A: { items: ref('B') },
      B: { type: 'string' },
      B_v2: {},
      A_v2: { items: ref('B_v3') },
      B_v3: { type: 'object' },
      New: { items: ref('B_v3') },
    });
    expect(merged.paths).toEqual({ '/b': [ref('A_v2'), ref('New')] });
  });
});
