import { describe, expect, it } from 'vitest';
import { fc } from '../../test/support/properties.ts';
import { fromLabelSelector, fromMap, matches } from '../api/labels.ts';
import { PODS, SERVICES } from '../api/resource-types.ts';
import type { Pod, Service } from '../api/types.ts';
import { FakeClient } from '../client/client.fake.ts';
import { createInformer } from '../client/informer.ts';
import { indexByLabel, indexBySelector, selectedBy, selectorsOf } from './selected.ts';

const pair = fc.constantFrom('a', 'b', 'c');
const labels = fc.dictionary(pair, fc.constantFrom('1', '2'), { maxKeys: 3 });
const namespace = fc.constantFrom('x', 'y');
const objects = fc.array(fc.record({ namespace, labels }), { maxLength: 12 });
const names = (found: { metadata: { name: string } }[]) => found.map((o) => o.metadata.name).sort();

describe('objects by label', () => {
  it('are those that a look at each of the namespace would find', async () => {
    const selector = fc.record({
      matchLabels: labels,
      matchExpressions: fc.array(
        fc.record({ key: pair, operator: fc.constantFrom('Exists', 'DoesNotExist') }),
        { maxLength: 1 },
      ),
    });
    await fc.assert(
      fc.asyncProperty(objects, selector, namespace, async (all, wanted, where) => {
        const client = new FakeClient();
        for (const [i, metadata] of all.entries()) {
          client.seed(PODS, { metadata: { ...metadata, name: `p${i}` } } as never);
        }
        const pods = createInformer(client, PODS);
        indexByLabel(pods);
        const stop = new AbortController();
        const running = pods.run(stop.signal);
        await pods.whenSynced(stop.signal);
        const chosen = fromLabelSelector(wanted);
        const scanned = pods
          .list(where)
          .filter(({ metadata }: Pod) => matches(chosen, metadata.labels));
        expect(names(selectedBy(pods, where, chosen))).toEqual(names(scanned));
        stop.abort();
        await running;
      }),
      { numRuns: 50 },
    );
  });
});

describe('objects by what they select', () => {
  it('are those whose selector matches, and none without a selector', async () => {
    await fc.assert(
      fc.asyncProperty(objects, labels, namespace, async (all, of, where) => {
        const client = new FakeClient();
        for (const [i, { namespace, labels }] of all.entries()) {
          const metadata = { namespace, name: `s${i}` };
          client.seed(SERVICES, { metadata, spec: { selector: labels } } as never);
        }
        const services = createInformer(client, SERVICES);
        indexBySelector(services);
        const stop = new AbortController();
        const running = services.run(stop.signal);
        await services.whenSynced(stop.signal);
        const scanned = services.list(where).filter(({ spec }: Service) => {
          const selector = fromMap(spec?.selector);
          return selector.length > 0 && matches(selector, of);
        });
        const found = selectorsOf(services, { namespace: where, labels: of });
        expect(names(found)).toEqual(names(scanned));
        stop.abort();
        await running;
      }),
      { numRuns: 50 },
    );
  });
});
