import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startApiServer, type TestApiServer, type TestUser } from '../support/api-server.ts';
import { eventually } from '../support/eventually.ts';

let server: TestApiServer;
beforeAll(async () => {
  server = await startApiServer();
});
afterAll(() => server.stop());

const RBAC = '/apis/rbac.authorization.k8s.io/v1';
const CONFIG_MAPS = '/api/v1/namespaces/default/configmaps';

const user = (name: string, ...groups: string[]): TestUser => ({
  name,
  groups: [...groups, 'system:authenticated'],
});

function role(name: string, rules: object[], namespace?: string) {
  return {
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: namespace ? 'Role' : 'ClusterRole',
    metadata: { name, ...(namespace ? { namespace } : {}) },
    rules,
  };
}

function binding(
  name: string,
  to: { kind: string; name: string },
  userName: string,
  namespace?: string,
) {
  return {
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: namespace ? 'RoleBinding' : 'ClusterRoleBinding',
    metadata: { name, ...(namespace ? { namespace } : {}) },
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', ...to },
    subjects: [{ apiGroup: 'rbac.authorization.k8s.io', kind: 'User', name: userName }],
  };
}

async function create(path: string, body: object): Promise<void> {
  const { status, text } = await server.request('POST', path, { body });
  if (status !== 201) throw new Error(text);
}

describe('the default roles', () => {
  it('are there, aggregated and labelled', async () => {
    const { body } = await server.request('GET', `${RBAC}/clusterroles/edit`);
    expect(body.metadata).toMatchObject({
      labels: { 'kubernetes.io/bootstrapping': 'rbac-defaults' },
      annotations: { 'rbac.authorization.kubernetes.io/autoupdate': 'true' },
    });
    expect(body.rules).toContainEqual(
      expect.objectContaining({ resources: expect.arrayContaining(['deployments']) }),
    );
    const { items } = (await server.request('GET', `${RBAC}/clusterroles`)).body;
    expect(items.length).toBeGreaterThan(60);
  });
});

describe('RBAC', () => {
  it('refuses in the words of upstream', async () => {
    const request = await server.as(user('alice'));
    const { status, body } = await request('GET', `${CONFIG_MAPS}/x`);
    expect(status).toBe(403);
    expect(body.message).toBe(
      'configmaps "x" is forbidden: User "alice" cannot get resource "configmaps" in API group "" in the namespace "default"',
    );
    expect((await request('GET', '/metrics')).status).toBe(403);
  });

  it('lets everybody who is known discover, and nobody else', async () => {
    const request = await server.as(user('nobody-special'));
    expect((await request('GET', '/apis')).status).toBe(200);
    expect((await request('GET', '/version')).status).toBe(200);
  });

  it('allows what a binding grants, only there, and only as long as it is there', async () => {
    await create(
      `${RBAC}/namespaces/default/roles`,
      role(
        'reader',
        [{ apiGroups: [''], resources: ['configmaps'], verbs: ['get', 'list'] }],
        'default',
      ),
    );
    const bindings = `${RBAC}/namespaces/default/rolebindings`;
    await create(bindings, binding('bob', { kind: 'Role', name: 'reader' }, 'bob', 'default'));
    const request = await server.as(user('bob'));
    await eventually(
      'bob may list',
      async () => (await request('GET', CONFIG_MAPS)).status === 200,
    );
    expect((await request('GET', '/api/v1/namespaces/kube-system/configmaps')).status).toBe(403);
    expect((await request('GET', '/api/v1/configmaps')).status).toBe(403);
    expect((await request('DELETE', `${CONFIG_MAPS}/x`)).status).toBe(403);
    await server.request('DELETE', `${bindings}/bob`);
    await eventually('bob may not', async () => (await request('GET', CONFIG_MAPS)).status === 403);
  });

  it('knows resource names and sub-resources', async () => {
    await create(
      `${RBAC}/clusterroles`,
      role('narrow', [
        { apiGroups: [''], resources: ['configmaps'], resourceNames: ['mine'], verbs: ['get'] },
        { apiGroups: ['*'], resources: ['*/scale'], verbs: ['get'] },
      ]),
    );
    await create(
      `${RBAC}/clusterrolebindings`,
      binding('carol', { kind: 'ClusterRole', name: 'narrow' }, 'carol'),
    );
    const request = await server.as(user('carol'));
    await eventually(
      'carol may get hers',
      async () => (await request('GET', `${CONFIG_MAPS}/mine`)).status === 404,
    );
    expect((await request('GET', `${CONFIG_MAPS}/other`)).status).toBe(403);
    const deployments = '/apis/apps/v1/namespaces/default/deployments';
    expect((await request('GET', `${deployments}/x/scale`)).status).toBe(404);
    expect((await request('GET', `${deployments}/x`)).status).toBe(403);
  });

  it('privilege escalation: does not let anybody hand out more than they hold', async () => {
    await create(
      `${RBAC}/clusterroles`,
      role('role-maker', [
        {
          apiGroups: ['rbac.authorization.k8s.io'],
          resources: ['*'],
          verbs: ['create', 'update', 'get', 'patch'],
        },
        { apiGroups: [''], resources: ['pods'], verbs: ['get'] },
      ]),
    );
    await create(
      `${RBAC}/clusterrolebindings`,
      binding('mallory', { kind: 'ClusterRole', name: 'role-maker' }, 'mallory'),
    );
    const request = await server.as(user('mallory'));
    const pods = role('pods', [{ apiGroups: [''], resources: ['pods'], verbs: ['get'] }]);
    await eventually('mallory may hand on what is held', async () => {
      const { status } = await request('POST', `${RBAC}/clusterroles`, { body: pods });
      return status === 201 || status === 409;
    });
    const secrets = role('secrets', [{ apiGroups: [''], resources: ['secrets'], verbs: ['get'] }]);
    const made = await request('POST', `${RBAC}/clusterroles`, { body: secrets });
    expect(made.status).toBe(403);
    expect(made.body.message).toContain(
      'is attempting to grant RBAC permissions not currently held',
    );
    const bound = await request('POST', `${RBAC}/clusterrolebindings`, {
      body: binding('me', { kind: 'ClusterRole', name: 'cluster-admin' }, 'mallory'),
    });
    expect(bound.status).toBe(403);
  });
});

describe('the Node authorizer', () => {
  const secret = (name: string) => `/api/v1/namespaces/default/secrets/${name}`;
  const pod = (name: string, secretName: string) => ({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name },
    spec: {
      nodeName: 'node-a',
      containers: [{ name: 'c', image: 'i', envFrom: [{ secretRef: { name: secretName } }] }],
    },
  });

  it('lets a kubelet read just what its Pods use', async () => {
    await create('/api/v1/namespaces/default/serviceaccounts', {
      apiVersion: 'v1',
      kind: 'ServiceAccount',
      metadata: { name: 'default' },
    });
    for (const name of ['used', 'other']) {
      await create('/api/v1/namespaces/default/secrets', {
        apiVersion: 'v1',
        kind: 'Secret',
        metadata: { name },
      });
    }
    await create('/api/v1/namespaces/default/pods', pod('user', 'used'));
    const own = await server.as(user('system:node:node-a', 'system:nodes'));
    const foreign = await server.as(user('system:node:node-b', 'system:nodes'));
    await eventually(
      'its own is readable',
      async () => (await own('GET', secret('used'))).status === 200,
    );
    const refused = await own('GET', secret('other'));
    expect(refused.status).toBe(403);
    expect(refused.body.message).toBe(
      'secrets "other" is forbidden: User "system:node:node-a" cannot get resource "secrets" in API group "" in the namespace "default": no relationship found between node \'node-a\' and this object',
    );
    expect((await foreign('GET', secret('used'))).status).toBe(403);
    expect((await own('GET', '/api/v1/namespaces/default/secrets')).status).toBe(403);
    await server.request('DELETE', '/api/v1/namespaces/default/pods/user?gracePeriodSeconds=0');
    await eventually(
      'and not after its Pod is gone',
      async () => (await own('GET', secret('used'))).status === 403,
    );
  });
});

describe('what a kubelet sees by the Node authorizer', () => {
  const list = (what: string, field: string, name: string) =>
    `/api/v1/${what}?fieldSelector=${field}%3D${name}`;

  it('shows a kubelet its own Pods and its own node', async () => {
    for (const name of ['node-c', 'node-d']) {
      await create('/api/v1/nodes', { apiVersion: 'v1', kind: 'Node', metadata: { name } });
    }
    await create('/api/v1/namespaces/default/pods', {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'on-c' },
      spec: { nodeName: 'node-c', containers: [{ name: 'c', image: 'i' }] },
    });
    const own = await server.as(user('system:node:node-c', 'system:nodes'));
    const foreign = await server.as(user('system:node:node-d', 'system:nodes'));
    const path = '/api/v1/namespaces/default/pods/on-c';
    await eventually('its Pod is shown', async () => (await own('GET', path)).status === 200);
    const mine = list('pods', 'spec.nodeName', 'node-c');
    expect((await own('GET', mine)).status).toBe(200);
    expect((await own('GET', '/api/v1/nodes/node-c')).status).toBe(200);
    expect((await own('GET', list('nodes', 'metadata.name', 'node-c'))).status).toBe(200);
    expect((await own('GET', '/api/v1/pods')).status).toBe(403);
    expect((await own('GET', '/api/v1/nodes')).status).toBe(403);
    for (const refused of [path, mine, '/api/v1/nodes/node-c']) {
      expect((await foreign('GET', refused)).status).toBe(403);
    }
  });
});

describe('reviews', () => {
  it('tell what others may do, and why', async () => {
    const review = (spec: object) =>
      server.request('POST', '/apis/authorization.k8s.io/v1/subjectaccessreviews', {
        body: { apiVersion: 'authorization.k8s.io/v1', kind: 'SubjectAccessReview', spec },
      });
    const attributes = { verb: 'list', resource: 'nodes' };
    const allowed = await review({
      user: 'x',
      groups: ['system:masters'],
      resourceAttributes: attributes,
    });
    expect(allowed.status).toBe(201);
    expect(allowed.body.status.allowed).toBe(true);
    const scheduler = await review({
      user: 'system:kube-scheduler',
      resourceAttributes: attributes,
    });
    expect(scheduler.body.status).toMatchObject({
      allowed: true,
      reason:
        'RBAC: allowed by ClusterRoleBinding "system:kube-scheduler" of ClusterRole "system:kube-scheduler" to User "system:kube-scheduler"',
    });
    expect((await review({ user: 'x', resourceAttributes: attributes })).body.status.allowed).toBe(
      false,
    );
    expect((await review({ resourceAttributes: attributes })).status).toBe(422);
  });

  it('tell everybody about themselves', async () => {
    const request = await server.as(user('dave', 'team'));
    const self = await request('POST', '/apis/authentication.k8s.io/v1/selfsubjectreviews', {
      body: { apiVersion: 'authentication.k8s.io/v1', kind: 'SelfSubjectReview' },
    });
    expect(self.body.status.userInfo).toMatchObject({
      username: 'dave',
      groups: expect.arrayContaining(['team']),
    });
    const rules = await request('POST', '/apis/authorization.k8s.io/v1/selfsubjectrulesreviews', {
      body: {
        apiVersion: 'authorization.k8s.io/v1',
        kind: 'SelfSubjectRulesReview',
        spec: { namespace: 'default' },
      },
    });
    expect(rules.body.status.resourceRules).toContainEqual(
      expect.objectContaining({
        resources: ['selfsubjectaccessreviews', 'selfsubjectrulesreviews'],
      }),
    );
    const can = await request('POST', '/apis/authorization.k8s.io/v1/selfsubjectaccessreviews', {
      body: {
        apiVersion: 'authorization.k8s.io/v1',
        kind: 'SelfSubjectAccessReview',
        spec: { resourceAttributes: { verb: 'get', resource: 'pods', namespace: 'default' } },
      },
    });
    expect(can.body.status.allowed).toBe(false);
  });
});

describe('impersonation', () => {
  const as = (name: string, group?: string) => ({
    headers: { 'impersonate-user': name, ...(group ? { 'impersonate-group': group } : {}) },
  });
  const whoAmI = async (request: TestApiServer['request'], options: object) => {
    const body = { apiVersion: 'authentication.k8s.io/v1', kind: 'SelfSubjectReview' };
    const path = '/apis/authentication.k8s.io/v1/selfsubjectreviews';
    return request('POST', path, { body, ...options });
  };

  it('gives the rights of the other user, and only those', async () => {
    const { body } = await whoAmI(server.request, as('erin', 'team'));
    expect(body.status.userInfo).toEqual({
      username: 'erin',
      groups: ['team', 'system:authenticated'],
    });
    expect((await server.request('GET', CONFIG_MAPS, as('erin'))).status).toBe(403);
    expect((await server.request('GET', CONFIG_MAPS, as('erin', 'system:masters'))).status).toBe(
      200,
    );
    const account = await whoAmI(server.request, as('system:serviceaccount:default:robot'));
    expect(account.body.status.userInfo.groups).toContain('system:serviceaccounts:default');
  });

  it('by headers needs the right to impersonate, for the user and for each group', async () => {
    const request = await server.as(user('frank'));
    const { status, body } = await whoAmI(request, as('erin'));
    expect(status).toBe(403);
    expect(body.message).toContain('User "frank" cannot impersonate resource "users"');
    const right = role('impersonator', [
      { apiGroups: [''], resources: ['users'], verbs: ['impersonate'] },
    ]);
    await create(`${RBAC}/clusterroles`, right);
    await create(
      `${RBAC}/clusterrolebindings`,
      binding('frank', { kind: 'ClusterRole', name: 'impersonator' }, 'frank'),
    );
    await eventually('frank may', async () => (await whoAmI(request, as('erin'))).status === 201);
    expect((await whoAmI(request, as('erin', 'system:masters'))).status).toBe(403);
  });

  it('needs a user', async () => {
    const { status } = await whoAmI(server.request, { headers: { 'impersonate-group': 'team' } });
    expect(status).toBe(400);
  });
});
