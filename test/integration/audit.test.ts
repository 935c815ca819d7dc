import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startApiServer, type TestApiServer } from '../support/api-server.ts';
import { eventually } from '../support/eventually.ts';
import { startHttpsPeer } from '../support/https-peer.ts';

let server: TestApiServer;
const directory = mkdtempSync(join(tmpdir(), 'k8ts-audit-'));
const path = join(directory, 'audit.log');

beforeAll(async () => {
  server = await startApiServer({
    audit: {
      logFile: { path, maxSizeMb: 0.05, maxBackups: 2 },
      policy: {
        omitStages: ['RequestReceived'],
        rules: [
          { level: 'Metadata', resources: [{ group: '', resources: ['secrets'] }] },
          { level: 'None', verbs: ['get'], resources: [{ group: '', resources: ['configmaps'] }] },
          {
            level: 'RequestResponse',
            omitManagedFields: true,
            resources: [{ group: '', resources: ['configmaps', 'pods'] }],
          },
          { level: 'None' },
        ],
      },
    },
  });
});
afterAll(async () => {
  await server.stop();
  rmSync(directory, { recursive: true });
});

// biome-ignore lint/suspicious/noExplicitAny: events are whatever is written
const events = (): any[] =>
  readFileSync(path, 'utf8')
    .split('\n')
    .slice(0, -1) // What is written at the moment, or nothing.
    .map((line) => JSON.parse(line));

const found = (id: string) =>
  eventually(
    `the event ${id}`,
    async () => events().find(({ auditID }) => auditID === id) ?? false,
  );

const MAPS = '/api/v1/namespaces/default/configmaps';

describe('the audit log', () => {
  it('tells who did what, under the id that the answer carries', async () => {
    const body = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'a' }, data: { k: 'v' } };
    const answer = await server.request('POST', `${MAPS}?fieldManager=me`, { body });
    const event = await found(String(answer.headers['audit-id']));
    expect(event).toMatchObject({
      kind: 'Event',
      apiVersion: 'audit.k8s.io/v1',
      level: 'RequestResponse',
      stage: 'ResponseComplete',
      requestURI: `${MAPS}?fieldManager=me`,
      verb: 'create',
      user: { username: 'admin' },
      objectRef: { resource: 'configmaps', namespace: 'default', apiVersion: 'v1' },
      responseStatus: { code: 201 },
      requestObject: { data: { k: 'v' } },
      responseObject: { metadata: { name: 'a' } },
      annotations: { 'authorization.k8s.io/decision': 'allow' },
    });
    expect(event.responseObject.metadata.managedFields).toBeUndefined();
    // What is not recorded has an id too, for the log.
    const unrecorded = String((await server.request('GET', `${MAPS}/a`)).headers['audit-id']);
    expect(unrecorded).toMatch(/^[0-9a-f-]{36}$/);
    expect(events().some(({ auditID }) => auditID === unrecorded)).toBe(false);
  });

  it('keeps the id that the client chose', async () => {
    const headers = { 'audit-id': 'chosen-by-client' };
    await server.request('DELETE', `${MAPS}/none`, { headers });
    expect(await found('chosen-by-client')).toMatchObject({
      responseStatus: { code: 404, reason: 'NotFound', message: 'configmaps "none" not found' },
    });
  });

  it('tells refusals, and on whose behalf somebody acted', async () => {
    const request = await server.as({ name: 'eve', groups: ['system:authenticated'] });
    await request('GET', '/api/v1/namespaces/default/pods/x', {
      headers: { 'audit-id': 'refused' },
    });
    expect(await found('refused')).toMatchObject({
      user: { username: 'eve' },
      responseStatus: { code: 403 },
      annotations: { 'authorization.k8s.io/decision': 'forbid' },
    });
    const headers = { 'audit-id': 'acted', 'impersonate-user': 'bob' };
    await server.request('GET', '/api/v1/namespaces/default/pods/x', { headers });
    expect(await found('acted')).toMatchObject({
      user: { username: 'admin' },
      impersonatedUser: { username: 'bob' },
    });
  });

  it('never holds what a Secret holds, when its policy says Metadata', async () => {
    const body = {
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { name: 's' },
      stringData: { password: 'correct-horse' },
    };
    const headers = { 'audit-id': 'secret' };
    await server.request('POST', '/api/v1/namespaces/default/secrets', { body, headers });
    await found('secret');
    const text = readFileSync(path, 'utf8');
    expect(text).not.toContain('correct-horse');
    expect(text).not.toContain(Buffer.from('correct-horse').toString('base64'));
  });

  it('tells what policies and webhooks say of a request', async () => {
    const registration = '/apis/admissionregistration.k8s.io/v1';
    const apiVersion = 'admissionregistration.k8s.io/v1';
    const rule = {
      ...{
        apiGroups: [''],
        apiVersions: ['v1'],
        operations: ['CREATE'],
        resources: ['configmaps'],
      },
    };
    const peer = await startHttpsPeer(({ text }) => {
      const { uid } = JSON.parse(text).request;
      const response = { uid, allowed: true, auditAnnotations: { seen: 'yes' } };
      return { body: { apiVersion: 'admission.k8s.io/v1', kind: 'AdmissionReview', response } };
    });
    await server.request('POST', `${registration}/validatingwebhookconfigurations`, {
      body: {
        ...{ apiVersion, kind: 'ValidatingWebhookConfiguration', metadata: { name: 'noting' } },
        webhooks: [
          {
            name: 'noting.example.com',
            clientConfig: { url: `https://127.0.0.1:${peer.port}/`, caBundle: peer.caBundle },
            ...{ rules: [rule], sideEffects: 'None', admissionReviewVersions: ['v1'] },
          },
        ],
      },
    });
    await server.request('POST', `${registration}/validatingadmissionpolicies`, {
      body: {
        ...{ apiVersion, kind: 'ValidatingAdmissionPolicy', metadata: { name: 'noting' } },
        spec: {
          matchConstraints: { resourceRules: [rule] },
          validations: [{ expression: 'false', message: 'never' }],
          auditAnnotations: [{ key: 'name', valueExpression: "'is ' + object.metadata.name" }],
        },
      },
    });
    await server.request('POST', `${registration}/validatingadmissionpolicybindings`, {
      body: {
        ...{ apiVersion, kind: 'ValidatingAdmissionPolicyBinding', metadata: { name: 'noting' } },
        spec: { policyName: 'noting', validationActions: ['Audit'] },
      },
    });
    const headers = { 'audit-id': 'noted' };
    const body = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'noted' } };
    expect((await server.request('POST', MAPS, { body, headers })).status).toBe(201);
    const { annotations } = await found('noted');
    expect(annotations).toMatchObject({
      'noting/name': 'is noted',
      'noting.example.com/seen': 'yes',
    });
    const failures = annotations['validation.policy.admission.k8s.io/validation_failure'];
    expect(JSON.parse(failures)).toEqual([
      {
        ...{ message: 'never', policy: 'noting', binding: 'noting', expressionIndex: 0 },
        validationActions: ['Audit'],
      },
    ]);
    for (const kind of ['validatingwebhookconfigurations', 'validatingadmissionpolicybindings']) {
      await server.request('DELETE', `${registration}/${kind}/noting`);
    }
    await peer.close();
  });

  it('tells of a watch when it begins', async () => {
    const watch = server.watch('/api/v1/namespaces/default/pods?watch=1');
    await watch.status();
    await eventually('it has begun', async () =>
      events().some(({ verb, stage }) => verb === 'watch' && stage === 'ResponseStarted'),
    );
    watch.close();
    await eventually('it has ended', async () =>
      events().some(({ verb, stage }) => verb === 'watch' && stage === 'ResponseComplete'),
    );
  });

  it('is readable by its owner alone, and begins a new file when it is full', async () => {
    expect(statSync(path).mode & 0o077).toBe(0);
    const data = { k: 'x'.repeat(20_000) };
    for (let i = 0; i < 12; i++) {
      const body = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: `big${i}` }, data };
      await server.request('POST', MAPS, { body });
    }
    await eventually('old files are few', async () => {
      const old = readdirSync(directory).filter((name) => name !== 'audit.log');
      return old.length > 0 && old.length <= 2;
    });
  });
});
