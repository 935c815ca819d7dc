import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startApiServer, type TestApiServer } from '../support/api-server.ts';
import { eventually } from '../support/eventually.ts';

const API = '/apis/flowcontrol.apiserver.k8s.io/v1';
const ROLES = '/apis/rbac.authorization.k8s.io/v1';

let server: TestApiServer;
beforeAll(async () => {
  // So few seats that global-default has one, and workload-low five.
  server = await startApiServer({ maxRequestsInFlight: 12 });
  await eventually('the defaults are there', async () => {
    const { body } = await server.request('GET', `${API}/flowschemas`);
    return body.items.length === 13;
  });
  await server.request('POST', `${ROLES}/clusterrolebindings`, {
    body: {
      ...{ apiVersion: 'rbac.authorization.k8s.io/v1', kind: 'ClusterRoleBinding' },
      metadata: { name: 'all' },
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'edit' },
      subjects: [
        { kind: 'Group', name: 'system:authenticated', apiGroup: 'rbac.authorization.k8s.io' },
      ],
    },
  });
});
afterAll(() => server.stop());

const CONFIG_MAPS = '/api/v1/namespaces/default/configmaps';
const SCHEMA_UID = 'x-kubernetes-pf-flowschema-uid';
const LEVEL_UID = 'x-kubernetes-pf-prioritylevel-uid';

async function uidOf(resource: string, name: string): Promise<string> {
  return (await server.request('GET', `${API}/${resource}/${name}`)).body.metadata.uid;
}

describe('flow control', () => {
  it("has upstream's levels and schemas, each of which knows its level", async () => {
    const { body } = await server.request('GET', `${API}/prioritylevelconfigurations`);
    const names = body.items.map((item: { metadata: { name: string } }) => item.metadata.name);
    expect(names).toEqual([
      ...['catch-all', 'exempt', 'global-default', 'leader-election', 'node-high', 'system'],
      ...['workload-high', 'workload-low'],
    ]);
    await eventually('statuses are written', async () => {
      const { body: schemas } = await server.request('GET', `${API}/flowschemas`);
      return schemas.items.every(
        (s: { status?: { conditions?: { type: string; status: string }[] } }) =>
          s.status?.conditions?.some((c) => c.type === 'Dangling' && c.status === 'False'),
      );
    });
  });

  it('tells where a request belongs', async () => {
    const alice = await server.as({ name: 'alice', groups: [] });
    const { headers } = await alice('GET', CONFIG_MAPS);
    expect(headers[SCHEMA_UID]).toBe(await uidOf('flowschemas', 'global-default'));
    expect(headers[LEVEL_UID]).toBe(await uidOf('prioritylevelconfigurations', 'global-default'));
    const node = await server.as({ name: 'system:node:n', groups: ['system:nodes'] });
    const answer = await node('GET', '/api/v1/nodes');
    expect(answer.headers[SCHEMA_UID]).toBe(await uidOf('flowschemas', 'system-node-high'));
    const { headers: admin } = await server.request('GET', CONFIG_MAPS);
    expect(admin[SCHEMA_UID]).toBe(await uidOf('flowschemas', 'exempt'));
  });

  it('obeys schemas and levels that are made while it runs', async () => {
    await server.request('POST', `${API}/prioritylevelconfigurations`, {
      body: {
        ...{ apiVersion: 'flowcontrol.apiserver.k8s.io/v1', kind: 'PriorityLevelConfiguration' },
        metadata: { name: 'closed' },
        spec: {
          type: 'Limited',
          limited: { nominalConcurrencyShares: 0, limitResponse: { type: 'Reject' } },
        },
      },
    });
    await server.request('POST', `${API}/flowschemas`, {
      body: {
        ...{ apiVersion: 'flowcontrol.apiserver.k8s.io/v1', kind: 'FlowSchema' },
        metadata: { name: 'mallory' },
        spec: {
          matchingPrecedence: 10,
          priorityLevelConfiguration: { name: 'closed' },
          rules: [
            {
              subjects: [{ kind: 'User', user: { name: 'mallory' } }],
              resourceRules: [
                { verbs: ['*'], apiGroups: ['*'], resources: ['*'], namespaces: ['*'] },
              ],
            },
          ],
        },
      },
    });
    const mallory = await server.as({ name: 'mallory', groups: [] });
    const refused = await mallory('GET', CONFIG_MAPS);
    expect(refused.status).toBe(429);
    expect(refused.headers['retry-after']).toBe('1');
    expect(refused.body).toMatchObject({ kind: 'Status', reason: 'TooManyRequests' });
    const alice = await server.as({ name: 'alice', groups: [] });
    expect((await alice('GET', CONFIG_MAPS)).status).toBe(200);
    await server.request('DELETE', `${API}/flowschemas/mallory`);
    expect((await mallory('GET', CONFIG_MAPS)).status).toBe(200);
  });

  it('serves others while one user floods it, and turns the flood away once its queues are full', async () => {
    const flood = await server.as({ name: 'flood', groups: [] });
    const requests = Array.from({ length: 2000 }, (_, i) =>
      flood('POST', CONFIG_MAPS, { body: { metadata: { name: `flood-${i}` } } }),
    );
    const scheduler = await server.as({ name: 'system:kube-scheduler', groups: [] });
    const modest = await server.as({ name: 'modest', groups: [] });
    const answers = await Promise.all([
      scheduler('GET', '/api/v1/nodes'),
      modest('GET', CONFIG_MAPS),
    ]);
    expect(answers.map(({ status }) => status)).toEqual([200, 200]);
    const codes = new Map<number, number>();
    for (const { status } of await Promise.all(requests)) {
      codes.set(status, (codes.get(status) ?? 0) + 1);
    }
    expect([...codes.keys()].sort()).toEqual([201, 429]);
    const { text } = await server.request('GET', '/metrics');
    const rejected = 'apiserver_flowcontrol_rejected_requests_total';
    const labels =
      'flow_schema="global-default",priority_level="global-default",reason="queue-full"';
    expect(text).toContain(`${rejected}{${labels}} ${codes.get(429)}`);
  });

  it('lends the seats of quiet levels to those that are asked for more, and tells so', async () => {
    const current = async (level: string) => {
      const { text } = await server.request('GET', '/metrics');
      const line = new RegExp(
        `^apiserver_flowcontrol_current_limit_seats\\{priority_level="${level}"\\} (\\d+)$`,
        'm',
      );
      return Number(line.exec(text)?.[1]);
    };
    const own = await current('global-default');
    const busy = await server.as({ name: 'busy', groups: [] });
    // More than its own seats are wanted for a while.
    const asked = Array.from({ length: 200 }, () => busy('GET', CONFIG_MAPS));
    await eventually('it has more than its own', async () => {
      asked.push(...Array.from({ length: 50 }, () => busy('GET', CONFIG_MAPS)));
      await Promise.all(asked.splice(0));
      return (await current('global-default')) > own;
    });
  });

  it('counts the watches that a write makes work for', async () => {
    const sums = async () => {
      const { text } = await server.request('GET', '/metrics');
      const flow = 'flow_schema="global-default",priority_level="global-default"';
      const of = (part: string) =>
        Number(
          new RegExp(
            `^apiserver_flowcontrol_watch_count_samples_${part}\\{${flow}\\} (\\d+)$`,
            'm',
          ).exec(text)?.[1] ?? 0,
        );
      return { sum: of('sum'), count: of('count') };
    };
    const before = await sums();
    const watches = Array.from({ length: 12 }, () => server.watch(`${CONFIG_MAPS}?watch=1`));
    const other = server.watch('/api/v1/namespaces/kube-system/configmaps?watch=1');
    await Promise.all([...watches, other].map((watch) => watch.status()));
    const writer = await server.as({ name: 'writer', groups: [] });
    const body = { metadata: { name: 'watched' } };
    expect((await writer('POST', CONFIG_MAPS, { body })).status).toBe(201);
    const after = await sums();
    expect(after.count - before.count).toBe(1);
    const heard = after.sum - before.sum;
    // Those of the namespace, and what the server itself watches everywhere.
    expect(heard).toBeGreaterThanOrEqual(12);
    for (const watch of [...watches, other]) watch.close();
    await eventually('its watches are forgotten', async () => {
      const { sum } = await sums();
      await writer('PATCH', `${CONFIG_MAPS}/watched`, { body: { data: { at: String(sum) } } });
      return (await sums()).sum - sum === heard - 12;
    });
  });

  it('shows what goes on', async () => {
    const dump = (name: string) =>
      server.request('GET', `/debug/api_priority_and_fairness/${name}`);
    const { text } = await dump('dump_priority_levels');
    expect(text).toContain('PriorityLevelName, ActiveQueues, IsIdle, IsQuiescing, ');
    expect(text).toMatch(/^global-default, 0, true, false, 0, 0, \d+, \d+, 0, 0, $/m);
    expect((await dump('dump_queues')).text).toContain('\nglobal-default, 127, 0, 0, ');
    expect((await dump('dump_requests')).text).toContain('FlowDistingsher');
    expect((await dump('nothing')).status).toBe(404);
    const alice = await server.as({ name: 'alice', groups: [] });
    expect((await alice('GET', '/debug/api_priority_and_fairness/dump_queues')).status).toBe(403);
  });
});
