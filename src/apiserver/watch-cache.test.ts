import { describe, expect, it } from 'vitest';
import { fc } from '../../test/support/properties.ts';
import { parseFieldSelector } from '../api/fields.ts';
import { parseSelector } from '../api/labels.ts';
import type { KubeObject } from '../api/types.ts';
import type { StorageEvent } from '../storage/storage.ts';
import { type Selection, selectsEntry } from './selection.ts';
import { WatchCache } from './watch-cache.ts';

const PREFIX = '/registry/pods/';
const cacheOf = async (): Promise<WatchCache> => {
  const cache = new WatchCache({
    prefix: PREFIX,
    fieldsOf: (object) => ({
      'spec.nodeName': (object as { spec?: { nodeName?: string } }).spec?.nodeName ?? '',
    }),
    parsedOf: () => undefined,
  });
  await cache.load([], 0);
  return cache;
};

const selection = (namespace: string, labels: string, fields: string): Selection => ({
  namespace,
  labels: parseSelector(labels),
  fields: [...parseFieldSelector(fields)],
});

interface Pod {
  readonly namespace: string;
  readonly name: string;
  readonly node: string;
  readonly labels: Record<string, string>;
}

function event(
  revision: number,
  { namespace, name, node, labels }: Pod,
  gone: boolean,
): StorageEvent {
  const object: KubeObject & { spec: object } = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { namespace, name, labels },
    spec: { nodeName: node },
  };
  const value = gone ? undefined : Buffer.from(JSON.stringify(object));
  return { key: `${PREFIX}${namespace}/${name}`, revision, value };
}

const pods = fc.record({
  namespace: fc.constantFrom('a', 'b'),
  name: fc.constantFrom(...Array.from({ length: 30 }, (_, i) => `p${i}`)),
  node: fc.constantFrom('', 'n1', 'n2', 'n3'),
  labels: fc.constantFrom<Record<string, string>>({}, { app: 'x' }, { app: 'y', tier: 'z' }),
});
const selections = fc
  .tuple(
    fc.constantFrom('', 'a', 'b'),
    fc.constantFrom('', 'app=x', 'app', 'tier=z,app!=x', 'app in (x,y)'),
    fc.constantFrom(
      '',
      'spec.nodeName=n1',
      'spec.nodeName=',
      'metadata.name=p3',
      'spec.nodeName!=n1',
    ),
  )
  .map((parts) => selection(...parts));

describe('WatchCache', () => {
  it('finds by its indexes just what a look at every object finds, in order', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(pods, fc.integer({ min: 0, max: 3 }), fc.option(selections)), {
          maxLength: 150,
        }),
        async (steps) => {
          const cache = await cacheOf();
          for (const [index, [pod, dice, asked]] of steps.entries()) {
            cache.apply(event(index + 1, pod, dice === 0));
            if (!asked) continue;
            const found = cache.candidates(asked).filter((entry) => selectsEntry(asked, entry));
            const expected = cache.slice('').filter((entry) => selectsEntry(asked, entry));
            expect(found).toEqual(expected);
          }
        },
      ),
    );
  });

  it('gives all who list between two changes the same snapshot, which never changes', async () => {
    const cache = await cacheOf();
    const pod = { namespace: 'a', name: 'p', node: '', labels: {} };
    cache.apply(event(1, pod, false));
    const first = cache.slice('');
    expect(cache.slice('')).toBe(first);
    const before = [...first];
    cache.apply(event(2, { ...pod, name: 'q' }, false));
    cache.apply(event(3, pod, true));
    expect(first).toEqual(before);
    expect(cache.slice('').map((entry) => entry.name)).toEqual(['q']);
  });

  it('keeps no more indexes than it has room for, whatever labels clients ask for', async () => {
    const cache = await cacheOf();
    for (let i = 0; i < 500; i++) cache.candidates(selection('', `label-${i}=x`, ''));
    expect(cache.indexes).toBeLessThanOrEqual(16);
  });
});
