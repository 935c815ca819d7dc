import { afterAll, beforeAll, describe, expect, it, test } from 'vitest';
import { startApiServer, type TestApiServer, type TestEvent } from '../support/api-server.ts';
import { CLUSTER_SAMPLES, NAMESPACED_SAMPLES, type Sample } from '../support/samples.ts';

// What upstream's conformance tests do with every kind: several objects that a watch follows, sub-resources,
// deletion of a collection.

let server: TestApiServer;
/** `api/v1/Pod` → `pods`; `api/v1/pods/status` → `pods/status`. */
const resources = new Map<string, string>();

beforeAll(async () => {
  server = await startApiServer();
  await server.request('POST', '/api/v1/namespaces/default/serviceaccounts', {
    body: { metadata: { name: 'default' } },
  });
  for (const root of new Set([...NAMESPACED_SAMPLES, ...CLUSTER_SAMPLES].map(([path]) => path))) {
    const { body } = await server.request('GET', `/${root}`);
    for (const { name, kind } of body.resources) {
      resources.set(`${root}/${name.includes('/') ? name : kind}`, name);
    }
  }
});
afterAll(() => server.stop());

const cases = [
  ...NAMESPACED_SAMPLES.map((sample) => [`${sample[0]} ${sample[1]}`, sample, true] as const),
  ...CLUSTER_SAMPLES.map((sample) => [`${sample[0]} ${sample[1]}`, sample, false] as const),
];

function placesOf([root, kind]: Sample, inside: boolean) {
  const plural = resources.get(`${root}/${kind}`) ?? '';
  const all = `/${root}/${plural}`;
  return { plural, all, home: inside ? `/${root}/namespaces/default/${plural}` : all };
}

const SELECTED = 'labelSelector=e2e%3Dyes';
// Namespaces know no deletecollection, and go when their content is gone.
const KEEPS_COLLECTION = new Set(['Namespace']);

describe('the operations on each kind', () => {
  test.each(cases)('%s', async (_title, sample, inside) => {
    const [, kind, content, fixed] = sample;
    const { all, home } = placesOf(sample, inside);
    const before = await server.request('GET', `${all}?${SELECTED}`);
    const { resourceVersion } = before.body.metadata;
    const watch = server.watch(`${all}?watch=1&${SELECTED}&resourceVersion=${resourceVersion}`);
    const names = fixed ? [fixed] : ['one', 'two', 'three'];
    for (const name of names) {
      const metadata = { name, labels: { e2e: 'yes' } };
      const made = await server.request('POST', home, { body: { metadata, ...content } });
      expect([made.status, made.body.message]).toEqual([201, undefined]);
    }
    const listed = await server.request('GET', `${all}?${SELECTED}`);
    expect(listed.body.items).toHaveLength(names.length);

    const path = `${home}/${names[0]}`;
    const annotated = await server.request('PATCH', path, {
      body: { metadata: { annotations: { patched: 'true' } } },
      type: 'application/strategic-merge-patch+json',
    });
    expect(annotated.body.metadata.annotations).toMatchObject({ patched: 'true' });
    const put = await server.request('PUT', path, { body: annotated.body });
    expect(put.body.metadata.resourceVersion).toBe(annotated.body.metadata.resourceVersion);
    const tried = await server.request('DELETE', `${path}?dryRun=All`);
    expect(tried.status).toBe(200);
    expect((await server.request('GET', path)).body.metadata.deletionTimestamp).toBeUndefined();

    const types = (events: readonly TestEvent[]) => new Set(events.map(({ type }) => type));
    await watch.first(names.length + 1);
    expect(types(watch.events)).toEqual(new Set(['ADDED', 'MODIFIED']));
    if (KEEPS_COLLECTION.has(kind)) {
      expect((await server.request('DELETE', home)).status).toBe(405);
      return watch.close();
    }
    const deleted = await server.request('DELETE', `${home}?${SELECTED}`);
    expect([deleted.status, deleted.body.kind]).toEqual([200, `${kind}List`]);
    const { items } = (await server.request('GET', `${home}?${SELECTED}`)).body;
    // Who protects an object keeps it for the controllers to let go.
    for (const { metadata } of items) {
      expect(metadata.deletionTimestamp).toBeDefined();
      expect(metadata.finalizers).not.toEqual([]);
    }
    if (items.length === 0) {
      while (watch.events.filter(({ type }) => type === 'DELETED').length < names.length) {
        await watch.first(watch.events.length + 1);
      }
    }
    watch.close();
  });
});

/** Kinds whose status says nothing about labels and annotations. */
const STATUS_ALONE = new Set([
  'ServiceCIDR',
  'ResourceClaim',
  'VolumeAttachment',
  'FlowSchema',
  'PriorityLevelConfiguration',
  'APIService',
  'ValidatingAdmissionPolicy',
]);

describe('status', () => {
  const withStatus = cases.filter(([, [, kind]]) => kind !== 'Namespace');

  test.each(withStatus)('of %s is a view of its own', async (_title, sample, inside) => {
    const [root, kind, content, fixed] = sample;
    const { plural, home } = placesOf(sample, inside);
    if (!resources.has(`${root}/${plural}/status`)) return;
    const name = fixed ?? 'with-status';
    await server.request('POST', home, { body: { metadata: { name }, ...content } });
    const path = `${home}/${name}/status`;
    const read = await server.request('GET', path);
    expect([read.status, read.body.kind]).toEqual([200, kind]);
    const body = { metadata: { annotations: { patchedstatus: 'true' } }, spec: null, status: {} };
    const patched = await server.request('PATCH', path, { body });
    expect([patched.status, patched.body.message]).toEqual([200, undefined]);
    expect(patched.body.spec).toEqual(read.body.spec);
    const passed = patched.body.metadata.annotations?.patchedstatus === 'true';
    expect(passed).toBe(!STATUS_ALONE.has(kind));
    // Nobody owns what did not pass.
    const owners = JSON.stringify(patched.body.metadata.managedFields ?? []);
    expect(owners.includes('f:patchedstatus')).toBe(passed);
    expect((await server.request('PUT', path, { body: patched.body })).status).toBe(200);
  });

  it('of a Deployment leaves its labels alone', async () => {
    const path = '/apis/apps/v1/namespaces/default/deployments';
    const sample = NAMESPACED_SAMPLES.find(([, kind]) => kind === 'Deployment')?.[2];
    await server.request('POST', path, { body: { metadata: { name: 'labelled' }, ...sample } });
    const { body } = await server.request('PATCH', `${path}/labelled/status`, {
      body: { metadata: { labels: { a: 'b' } }, status: { observedGeneration: 1 } },
    });
    expect([body.metadata.labels, body.status.observedGeneration]).toEqual([undefined, 1]);
  });
});

describe('events', () => {
  const path = '/apis/events.k8s.io/v1/namespaces/default/events';
  const good = {
    metadata: { name: 'new' },
    regarding: { kind: 'Pod', name: 'a', namespace: 'default' },
    eventTime: '2026-01-01T00:00:00.000000Z',
    reason: 'Tested',
    action: 'Test',
    type: 'Normal',
    reportingController: 'example.com/tester',
    reportingInstance: 'me',
    note: 'It happened',
  };

  it('of the new group are selected by its names of the fields', async () => {
    await server.request('POST', path, { body: good });
    const of = async (selector: string) =>
      (await server.request('GET', `${path}?fieldSelector=${selector}`)).body;
    const found = await of('reportingController%3Dexample.com/tester,regarding.name%3Da');
    expect(found.items.map((e: { note: string }) => e.note)).toEqual(['It happened']);
    expect((await of('reportingController%3Dnobody')).items).toEqual([]);
    expect((await of('involvedObject.name%3Da')).message).toContain('field label not supported');
  });

  it('of the new group must say all of it, and only their series goes on', async () => {
    const body = { ...good, metadata: { name: 'bad' }, eventTime: null, type: 'Odd', action: '' };
    const refused = await server.request('POST', path, { body });
    expect(refused.body.details.causes.map((c: { field: string }) => c.field)).toEqual([
      'eventTime',
      'type',
    ]);
    const changed = await server.request('PATCH', `${path}/new`, { body: { note: 'Other' } });
    expect(changed.body.message).toContain('message: Invalid value');
    const lastObservedTime = '2026-01-01T00:00:01.000000Z';
    const again = { series: { count: 1, lastObservedTime } };
    expect((await server.request('PATCH', `${path}/new`, { body: again })).status).toBe(422);
    again.series.count = 2;
    expect((await server.request('PATCH', `${path}/new`, { body: again })).status).toBe(200);
  });

  it('of the core group that tell their time must tell who speaks', async () => {
    const body = {
      metadata: { name: 'core' },
      involvedObject: { namespace: 'default' },
      eventTime: '2026-01-01T00:00:00.000000Z',
    };
    const refused = await server.request('POST', '/api/v1/namespaces/default/events', { body });
    expect(refused.body.details.causes.map((c: { field: string }) => c.field)).toEqual([
      'reportingComponent',
      'reportingComponent',
      'reportingComponent',
      'reportingInstance',
      'action',
      'reason',
    ]);
  });
});
