import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startApiServer, type TestApiServer } from '../support/api-server.ts';

let server: TestApiServer;
beforeAll(async () => {
  server = await startApiServer();
});
afterAll(() => server.stop());

const CONFIG_MAPS = '/api/v1/namespaces/default/configmaps';
const DEPLOYMENTS = '/apis/apps/v1/namespaces/default/deployments';

function apply(path: string, config: object, manager: string, query = '') {
  return server.request('PATCH', `${path}?fieldManager=${manager}${query}`, {
    body: config,
    type: 'application/apply-patch+yaml',
  });
}

const configMap = (name: string, data: object) => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name },
  data,
});

const deployment = (name: string, spec: object = {}) => ({
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  metadata: { name },
  spec: {
    selector: { matchLabels: { app: name } },
    template: {
      metadata: { labels: { app: name } },
      spec: { containers: [{ name: 'web', image: 'web:1' }] },
    },
    ...spec,
  },
});

interface Entry {
  manager: string;
  operation: string;
  subresource?: string;
  fieldsV1: Record<string, unknown>;
}

function entryOf(body: { metadata: { managedFields: Entry[] } }, manager: string) {
  return body.metadata.managedFields.find((entry) => entry.manager === manager);
}

describe('server-side apply over HTTP', () => {
  it('creates with 201, changes with 200, and changes nothing when nothing changed', async () => {
    const path = `${CONFIG_MAPS}/create`;
    const created = await apply(path, configMap('create', { a: '1' }), 'one');
    expect(created.status).toBe(201);
    const changed = await apply(path, configMap('create', { a: '2' }), 'one');
    expect(changed.status).toBe(200);
    expect(changed.body.data).toEqual({ a: '2' });
    const again = await apply(path, configMap('create', { a: '2' }), 'one');
    expect(again.body.metadata.resourceVersion).toBe(changed.body.metadata.resourceVersion);
    expect(again.body).toEqual(changed.body);
  });

  it('answers conflicts with every field and its manager, unless forced', async () => {
    const path = `${CONFIG_MAPS}/conflict`;
    await apply(path, configMap('conflict', { a: '1' }), 'one');
    const refused = await apply(path, configMap('conflict', { a: '2' }), 'two');
    expect(refused.status).toBe(409);
    expect(refused.body).toMatchObject({
      reason: 'Conflict',
      message: 'Apply failed with 1 conflict: conflict with "one": .data.a',
      details: { causes: [{ reason: 'FieldManagerConflict', field: '.data.a' }] },
    });
    const forced = await apply(path, configMap('conflict', { a: '2' }), 'two', '&force=true');
    expect(forced.body.data).toEqual({ a: '2' });
  });

  it('fills in defaults without owning them', async () => {
    const path = `${DEPLOYMENTS}/defaults`;
    const { body, status } = await apply(path, deployment('defaults'), 'one');
    expect(status).toBe(201);
    expect(body.spec.replicas).toBe(1);
    const { fieldsV1 } = entryOf(body, 'one') as Entry;
    expect(fieldsV1).toEqual({
      'f:spec': {
        'f:selector': {},
        'f:template': {
          'f:metadata': { 'f:labels': { 'f:app': {} } },
          'f:spec': {
            'f:containers': { 'k:{"name":"web"}': { '.': {}, 'f:image': {}, 'f:name': {} } },
          },
        },
      },
    });
  });

  it('does nothing to the store in a dry run', async () => {
    const path = `${CONFIG_MAPS}/dry`;
    const dry = await apply(path, configMap('dry', { a: '1' }), 'one', '&dryRun=All');
    expect(dry.status).toBe(201);
    expect((await server.request('GET', path)).status).toBe(404);
  });

  it('applies a scale as the field that it stands for', async () => {
    const path = `${DEPLOYMENTS}/scaled`;
    await apply(path, deployment('scaled', { replicas: 1 }), 'one');
    const scale = { apiVersion: 'autoscaling/v1', kind: 'Scale', spec: { replicas: 3 } };
    const refused = await apply(`${path}/scale`, scale, 'scaler');
    expect(refused.status).toBe(409);
    expect(refused.body.message).toContain('conflict with "one": .spec.replicas');
    const scaled = await apply(`${path}/scale`, scale, 'scaler', '&force=true');
    expect(scaled.body.spec.replicas).toBe(3);
    const { body } = await server.request('GET', path);
    expect(entryOf(body, 'scaler')).toMatchObject({
      subresource: 'scale',
      fieldsV1: { 'f:spec': { 'f:replicas': {} } },
    });
    const left = await apply(path, deployment('scaled'), 'one');
    expect(left.body.spec.replicas).toBe(3);
  });

  it('applies status to the status sub-resource only', async () => {
    const path = `${DEPLOYMENTS}/status`;
    const config = { ...deployment('status'), status: { observedGeneration: 7 } };
    const main = await apply(path, config, 'one');
    expect(main.body.status?.observedGeneration).toBeUndefined();
    const status = await apply(
      `${path}/status`,
      { apiVersion: 'apps/v1', kind: 'Deployment', status: { observedGeneration: 7 } },
      'controller',
    );
    expect(status.body.status.observedGeneration).toBe(7);
    expect(entryOf(status.body, 'controller')).toMatchObject({ subresource: 'status' });
  });

  it.each([
    ['no fieldManager', '', 422, 'fieldManager: Required value: is required for apply patch'],
    ['a broken dryRun', '?fieldManager=a&dryRun=some', 422, 'dryRun'],
  ])('refuses %s', async (_name, query, code, message) => {
    const answer = await server.request('PATCH', `${CONFIG_MAPS}/refused${query}`, {
      body: configMap('refused', {}),
      type: 'application/apply-patch+yaml',
    });
    expect(answer.status).toBe(code);
    expect(answer.body.message).toContain(message);
  });

  it('refuses force for other patches, another name, a uid of nobody, and unknown fields', async () => {
    const path = `${CONFIG_MAPS}/refused`;
    const merge = await server.request('PATCH', `${path}?force=true`, { body: {} });
    expect(merge.status).toBe(422);
    expect(merge.body.message).toContain(
      'force: Forbidden: may not be specified for non-apply patch',
    );
    expect((await apply(path, configMap('other', {}), 'one')).status).toBe(400);
    const uid = { ...configMap('refused', {}), metadata: { name: 'refused', uid: 'x' } };
    expect((await apply(path, uid, 'one')).status).toBe(409);
    const unknown = await apply(path, { ...configMap('refused', {}), dta: {} }, 'one');
    expect(unknown.status).toBe(400);
    expect(unknown.body.message).toContain('.dta: field not declared in schema');
  });
});

describe('managedFields over HTTP', () => {
  it('tell creates, updates and patches apart by user agent or parameter', async () => {
    const headers = { 'user-agent': 'robot/v1 (test)' };
    const path = `${CONFIG_MAPS}/tracked`;
    const created = await server.request('POST', CONFIG_MAPS, {
      body: configMap('tracked', { a: '1' }),
      headers,
    });
    expect(entryOf(created.body, 'robot')).toMatchObject({
      operation: 'Update',
      fieldsV1: { 'f:data': { '.': {}, 'f:a': {} } },
    });
    const patched = await server.request('PATCH', `${path}?fieldManager=patcher`, {
      body: { data: { b: '1' } },
    });
    expect(entryOf(patched.body, 'patcher')?.fieldsV1).toEqual({ 'f:data': { 'f:b': {} } });
    const put = await server.request('PUT', `${path}?fieldManager=putter`, {
      body: { ...patched.body, data: { a: '2', b: '1' } },
    });
    expect(entryOf(put.body, 'putter')?.fieldsV1).toEqual({ 'f:data': { 'f:a': {} } });
    const stripped = await server.request('PUT', path, {
      body: { ...put.body, metadata: { ...put.body.metadata, managedFields: [{}] } },
    });
    expect(stripped.body.metadata.managedFields ?? []).toEqual([]);
  });

  it('let ten patches at once all succeed', async () => {
    await server.request('POST', CONFIG_MAPS, { body: configMap('race', {}) });
    const answers = await Promise.all(
      Array.from({ length: 10 }, (_, i) =>
        server.request('PATCH', `${CONFIG_MAPS}/race`, { body: { data: { [`k${i}`]: '' } } }),
      ),
    );
    expect(answers.map(({ status }) => status)).toEqual(Array(10).fill(200));
    const { body } = await server.request('GET', `${CONFIG_MAPS}/race`);
    expect(Object.keys(body.data)).toHaveLength(10);
  });
});
