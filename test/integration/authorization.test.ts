import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { MemoryStorage } from '../../src/storage/memory.fake.ts';
import { realClock } from '../../src/util/clock.ts';
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

describe('the default roles later', () => {
  it('get back what they lost when the server starts, unless that is switched off', async () => {
    const storage = new MemoryStorage(realClock);
    const before = await startApiServer({}, storage);
    const rules = [{ apiGroups: [''], resources: ['pods'], verbs: ['get'] }];
    const path = (name: string) => `${RBAC}/clusterroles/system:${name}`;
    const annotations = { 'rbac.authorization.kubernetes.io/autoupdate': 'false' };
    const changes = { 'kube-scheduler': {}, 'node-proxier': { metadata: { annotations } } };
    for (const [name, more] of Object.entries(changes)) {
      await before.request('PATCH', path(name), { body: { rules, ...more } });
    }
    await before.request('DELETE', path('basic-user'));
    await before.stop();
    const after = await startApiServer({}, storage);
    const verbs = async (name: string) =>
      (await after.request('GET', path(name))).body.rules.flatMap(
        (rule: { verbs: string[] }) => rule.verbs,
      );
    expect(await verbs('kube-scheduler')).toContain('watch');
    expect(await verbs('node-proxier')).toEqual(['get']);
    expect((await after.request('GET', path('basic-user'))).status).toBe(200);
    await after.stop();
  });
});

describe('authorization modes', () => {
  it.each([
    ['AlwaysAllow', 200, ''],
    ['AlwaysDeny', 403, 'Everything is forbidden.'],
  ] as const)('%s', async (mode, status, reason) => {
    const own = await startApiServer({ authorizationModes: [mode] });
    const request = await own.as(user('anybody'));
    const answer = await request('GET', CONFIG_MAPS);
    expect(answer.status).toBe(status);
    expect(answer.text).toContain(reason);
    await own.stop();
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

describe('roles that gather the rules of others', () => {
  it('privilege escalation: are for those who hold everything', async () => {
    const rules = [{ apiGroups: ['rbac.authorization.k8s.io'], resources: ['*'], verbs: ['*'] }];
    // Without `escalate` and `bind`, which the asterisk would hold.
    const verbs = ['get', 'create', 'update', 'patch'];
    await create(`${RBAC}/clusterroles`, role('own', [{ ...rules[0], verbs }]));
    const to = { kind: 'ClusterRole', name: 'own' };
    await create(`${RBAC}/clusterrolebindings`, binding('mike', to, 'mike'));
    const mike = await server.as(user('mike'));
    const path = `${RBAC}/clusterroles/own`;
    await eventually('mike may', async () => (await mike('GET', path)).status === 200);
    const matchLabels = { 'rbac.authorization.k8s.io/aggregate-to-admin': 'true' };
    const aggregationRule = { clusterRoleSelectors: [{ matchLabels }] };
    const gathered = await mike('PATCH', path, { body: { aggregationRule } });
    expect(gathered.status).toBe(403);
    expect(gathered.body.message).toContain(
      'must have cluster-admin privileges to use an aggregationRule',
    );
    const labels = { 'rbac.authorization.k8s.io/aggregate-to-view': 'true' };
    const foreign = `${RBAC}/clusterroles/system:kube-controller-manager`;
    expect((await mike('PATCH', foreign, { body: { metadata: { labels } } })).status).toBe(403);
    expect((await mike('PATCH', path, { body: { metadata: { labels: { a: 'b' } } } })).status).toBe(
      200,
    );
    const finalizers = ['example.com/f'];
    expect((await mike('PATCH', foreign, { body: { metadata: { finalizers } } })).status).toBe(200);
  });
});

describe('bind and escalate', () => {
  it('are rights to hand out what one does not hold', async () => {
    const rbac = 'rbac.authorization.k8s.io';
    const makes = { apiGroups: [rbac], resources: ['*'], verbs: ['create'] };
    const grants = {
      binder: {
        apiGroups: [rbac],
        resources: ['clusterroles'],
        resourceNames: ['view'],
        verbs: ['bind'],
      },
      escalator: { apiGroups: [rbac], resources: ['clusterroles'], verbs: ['escalate'] },
    };
    for (const [name, rule] of Object.entries(grants)) {
      await create(`${RBAC}/clusterroles`, role(name, [makes, rule]));
      const to = { kind: 'ClusterRole', name };
      await create(`${RBAC}/clusterrolebindings`, binding(name, to, name));
    }
    const binder = await server.as(user('binder'));
    const escalator = await server.as(user('escalator'));
    const bind = (request: typeof binder, name: string, to: string) =>
      request('POST', `${RBAC}/clusterrolebindings`, {
        body: binding(name, { kind: 'ClusterRole', name: to }, 'x'),
      });
    const secrets = role('more', [{ apiGroups: [''], resources: ['secrets'], verbs: ['get'] }]);
    await eventually(
      'the binder may',
      async () => (await bind(binder, 'b1', 'view')).status === 201,
    );
    expect((await bind(binder, 'b2', 'admin')).status).toBe(403);
    expect((await binder('POST', `${RBAC}/clusterroles`, { body: secrets })).status).toBe(403);
    expect((await escalator('POST', `${RBAC}/clusterroles`, { body: secrets })).status).toBe(201);
    expect((await bind(escalator, 'b3', 'view')).status).toBe(403);
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

  it('of one namespace ask about that alone', async () => {
    const review = (namespace: string) =>
      server.request(
        'POST',
        '/apis/authorization.k8s.io/v1/namespaces/default/localsubjectaccessreviews',
        {
          body: {
            apiVersion: 'authorization.k8s.io/v1',
            kind: 'LocalSubjectAccessReview',
            metadata: { namespace: 'default' },
            spec: { user: 'who', resourceAttributes: { verb: 'get', resource: 'pods', namespace } },
          },
        },
      );
    expect((await review('default')).body.status).toEqual({ allowed: false });
    expect((await review('kube-system')).status).toBe(400);
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

  it('impersonation headers without the right: the user and each group need it', async () => {
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

  it('takes on the id and the extra of the other user, each by a right of its own', async () => {
    const headers = {
      'impersonate-user': 'erin',
      'impersonate-uid': '42',
      'impersonate-extra-example.com%2fteam': 'red',
    };
    const { body } = await whoAmI(server.request, { headers });
    expect(body.status.userInfo).toEqual({
      username: 'erin',
      uid: '42',
      groups: ['system:authenticated'],
      extra: { 'example.com/team': ['red'] },
    });
    const request = await server.as(user('gina'));
    const group = 'authentication.k8s.io';
    const rules = [
      { apiGroups: [''], resources: ['users'], verbs: ['impersonate'] },
      { apiGroups: [group], resources: ['uids'], verbs: ['impersonate'] },
    ];
    await create(`${RBAC}/clusterroles`, role('impersonator-of-ids', rules));
    const to = { kind: 'ClusterRole', name: 'impersonator-of-ids' };
    await create(`${RBAC}/clusterrolebindings`, binding('gina', to, 'gina'));
    const { 'impersonate-extra-example.com%2fteam': _, ...withoutExtra } = headers;
    await eventually('gina may', async () => {
      return (await whoAmI(request, { headers: withoutExtra })).status === 201;
    });
    const refused = await whoAmI(request, { headers });
    expect(refused.status).toBe(403);
    expect(refused.body.message).toContain(
      'cannot impersonate resource "userextras/example.com/team"',
    );
  });

  it('needs a user', async () => {
    const { status } = await whoAmI(server.request, { headers: { 'impersonate-group': 'team' } });
    expect(status).toBe(400);
  });
});
