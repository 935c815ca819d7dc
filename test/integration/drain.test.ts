import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { NODES, PODS } from '../../src/api/resource-types.ts';
import type { RestClient } from '../../src/client/rest-client.ts';
import { createClient } from '../../src/client/rest-client.ts';
import { drain, setSchedulable } from '../../src/cluster/drain.ts';
import { realClock } from '../../src/util/clock.ts';
import { startApiServer, type TestApiServer } from '../support/api-server.ts';
import { eventually } from '../support/eventually.ts';
import { type MadeUpNodes, madeUpNodes } from '../support/made-up-nodes.ts';

let server: TestApiServer;
let client: RestClient;
let node: MadeUpNodes;
beforeAll(async () => {
  server = await startApiServer();
  client = await createClient(server.kubeconfig);
  // It removes Pods that are to end, as a kubelet does.
  node = await madeUpNodes(client, { names: ['full'] });
  await server.request('POST', '/api/v1/namespaces/default/serviceaccounts', {
    body: { metadata: { name: 'default' } },
  });
});
afterAll(async () => {
  await node.stop();
  client.close();
  await server.stop();
});

const pods = '/api/v1/namespaces/default/pods';

async function make(name: string, metadata: object = {}): Promise<void> {
  const spec = {
    nodeName: 'full',
    containers: [{ name: 'main', image: 'example/main:1' }],
  };
  const { status } = await server.request('POST', pods, {
    body: { metadata: { name, ...metadata }, spec },
  });
  expect(status).toBe(201);
}

const names = async () =>
  (await client.list(PODS, { namespace: 'default' })).items
    .map(({ metadata }) => metadata.name)
    .sort();

describe('drain', () => {
  it('asks Pods to go as their budgets allow, leaves those of DaemonSets and files, and lets none in', async () => {
    await make('free');
    await make('held', { labels: { app: 'held' } });
    const owner = {
      apiVersion: 'apps/v1',
      kind: 'DaemonSet',
      name: 'd',
      uid: '1',
      controller: true,
    };
    await make('daemon', { ownerReferences: [owner] });
    await make('mirror', { annotations: { 'kubernetes.io/config.mirror': 'x' } });
    const budgets = '/apis/policy/v1/namespaces/default/poddisruptionbudgets';
    const made = await server.request('POST', budgets, {
      body: {
        metadata: { name: 'held' },
        spec: { minAvailable: 1, selector: { matchLabels: { app: 'held' } } },
      },
    });
    const allow = (disruptionsAllowed: number) =>
      server.request('PATCH', `${budgets}/held/status`, {
        body: { status: { disruptionsAllowed, observedGeneration: made.body.metadata.generation } },
      });
    await allow(0);
    const drained = drain(client, 'full', realClock, AbortSignal.timeout(30_000));
    await eventually('the free one is gone', async () => !(await names()).includes('free'));
    expect(await names()).toContain('held');
    const found = await client.get(NODES, { namespace: '', name: 'full' });
    expect(found.spec?.unschedulable).toBe(true);
    await allow(1);
    await drained;
    expect(await names()).toEqual(['daemon', 'mirror']);
    await setSchedulable(client, 'full', true);
    const after = await client.get(NODES, { namespace: '', name: 'full' });
    expect(after.spec?.unschedulable).toBeUndefined();
  });
});
