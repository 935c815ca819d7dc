import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  CONTROLLER_REVISIONS,
  DAEMON_SETS,
  NODES,
  POD_DISRUPTION_BUDGETS,
  PODS,
} from '../../src/api/resource-types.ts';
import { eventually } from '../support/eventually.ts';
import { HELD, imagesOf, keyOf, templateOf, Workloads, workloadOf } from '../support/workloads.ts';

// What upstream's conformance tests of DaemonSets, their revisions, and disruption budgets ask for.

let world: Workloads;
beforeAll(async () => {
  world = await Workloads.start();
});
afterAll(() => world?.stop());

const create = (name: string, spec: object = {}) =>
  world.client.create(DAEMON_SETS, workloadOf('DaemonSet', name, spec) as never);
const nodesOf = async (app: string) =>
  (await world.pods(app)).map(({ spec }) => spec?.nodeName ?? '').sort();
const label = (node: string, labels: object) =>
  world.client.patch(
    NODES,
    { namespace: '', name: node },
    { type: 'merge', body: { metadata: { labels } } },
  );

describe('a DaemonSet', () => {
  it('runs one Pod on each node, and another one when it goes or fails', async () => {
    await create('simple');
    await world.readyPods('simple', 2);
    expect(await nodesOf('simple')).toEqual(['n1', 'n2']);
    const { metadata } = await world.client.get(DAEMON_SETS, keyOf('simple'));
    expect(metadata.annotations).toEqual({ 'deprecated.daemonset.template.generation': '1' });
    for (const pod of await world.pods('simple')) {
      expect(pod.metadata.labels).toMatchObject({ 'pod-template-generation': '1' });
    }
    for (const harm of ['delete', 'fail']) {
      const [pod] = await world.readyPods('simple', 2);
      const { name = '', uid = '' } = pod?.metadata ?? {};
      if (harm === 'delete') await world.client.delete(PODS, keyOf(name));
      else await world.patch(PODS, name, { status: { phase: 'Failed' } }, 'status');
      await eventually('two again', async () => {
        const pods = await world.readyPods('simple', 2);
        return pods.every(({ metadata }) => metadata.uid !== uid);
      });
    }
  });

  it('follows the labels of nodes, and its own selector', async () => {
    const template = templateOf('complex', 'v1');
    const on = (color: string) => ({
      template: { ...template, spec: { ...template.spec, nodeSelector: { color } } },
    });
    await create('complex', on('blue'));
    await world.until(
      DAEMON_SETS,
      'complex',
      'a look',
      (set) => set.status?.observedGeneration === 1,
    );
    expect(await nodesOf('complex')).toEqual([]);
    await label('n1', { color: 'blue' });
    await world.readyPods('complex', 1);
    expect(await nodesOf('complex')).toEqual(['n1']);
    await label('n1', { color: 'green' });
    await eventually('none', async () => (await world.pods('complex')).length === 0);
    await world.patch(DAEMON_SETS, 'complex', { spec: on('green') });
    await world.readyPods('complex', 1);
    await label('n1', { color: null });
    await eventually('none', async () => (await world.pods('complex')).length === 0);
  });

  it('rolls its template out, and back without restarting what was not touched', async () => {
    await create('back', { updateStrategy: { rollingUpdate: { maxUnavailable: 1 } } });
    await world.readyPods('back', 2);
    const stuck = templateOf('back', 'stuck', { [HELD]: '' });
    await world.patch(DAEMON_SETS, 'back', { spec: { template: stuck } });
    const kept = await eventually('one stuck, one as it was', async () => {
      const pods = await world.pods('back');
      const old = pods.filter(({ spec }) => spec?.containers[0]?.image === 'v1');
      return pods.length === 2 && old.length === 1 ? old[0] : undefined;
    });
    await world.kubectl('rollout', 'undo', 'daemonset/back');
    await eventually('both back', async () => {
      return imagesOf(await world.readyPods('back', 2)).join() === 'v1,v1';
    });
    const uids = (await world.pods('back')).map(({ metadata }) => metadata.uid);
    expect(uids).toContain(kept.metadata.uid);
    await world.kubectl('rollout', 'status', 'daemonset/back', '--timeout=120s');
  });

  it('with a surge has the new Pod ready before the old one goes', async () => {
    await create('surge', {
      updateStrategy: { rollingUpdate: { maxSurge: 1, maxUnavailable: 0 } },
    });
    await world.readyPods('surge', 2);
    const stuck = templateOf('surge', 'v2', { [HELD]: '' });
    await world.patch(DAEMON_SETS, 'surge', { spec: { template: stuck } });
    await eventually(
      'three',
      async () =>
        imagesOf(await world.pods('surge'))
          .sort()
          .join() === 'v1,v1,v2',
    );
    const { spec } = templateOf('surge', 'v3');
    const template = { metadata: { labels: { [HELD]: null } }, spec };
    await world.patch(DAEMON_SETS, 'surge', { spec: { template } });
    await eventually('both new', async () => {
      return imagesOf(await world.readyPods('surge', 2)).join() === 'v3,v3';
    });
  });

  it('lets others write into its status, and goes with a collection', async () => {
    await create('status');
    await world.readyPods('status', 2);
    const condition = { type: 'StatusUpdate', status: 'True', reason: 'E2E', message: 'Set' };
    await world.patch(DAEMON_SETS, 'status', { status: { conditions: [condition] } }, 'status');
    await world.patch(DAEMON_SETS, 'status', { spec: { template: templateOf('status', 'v2') } });
    const { status } = await world.until(
      DAEMON_SETS,
      'status',
      'the update',
      (set) => set.status?.updatedNumberScheduled === 2 && set.status.numberAvailable === 2,
    );
    expect(status?.conditions).toMatchObject([condition]);
    const query = 'labelSelector=app%3Dstatus';
    await world.client.raw('DELETE', `/apis/apps/v1/namespaces/default/daemonsets?${query}`);
    await eventually('no Pods', async () => (await world.pods('status')).length === 0);
  });

  it('has revisions that can be listed, patched, replaced and deleted, and makes its own again', async () => {
    await create('revised');
    await world.readyPods('revised', 2);
    const where = { namespace: 'default', labelSelector: 'app=revised' };
    const list = async () => (await world.client.list(CONTROLLER_REVISIONS, where)).items;
    const [first] = await list();
    const { name = '' } = first?.metadata ?? {};
    await world.patch(CONTROLLER_REVISIONS, name, { metadata: { labels: { [name]: 'patched' } } });
    const copy = { ...first, metadata: { ...keyOf('copied'), labels: { app: 'revised' } } };
    await world.client.create(CONTROLLER_REVISIONS, { ...copy, revision: 7 } as never);
    await eventually('what was copied is adopted', async () => {
      await world.patch(DAEMON_SETS, 'revised', {
        spec: { template: templateOf('revised', 'v2') },
      });
      const all = await list();
      return all.every(({ metadata }) => metadata.ownerReferences?.[0]?.name === 'revised');
    });
    await world.client.delete(CONTROLLER_REVISIONS, keyOf(name));
    await world.patch(DAEMON_SETS, 'revised', { spec: { template: templateOf('revised', 'v3') } });
    await world.until(DAEMON_SETS, 'revised', 'the update', ({ status, metadata }) => {
      const seen = status?.observedGeneration === metadata.generation;
      return seen && status?.updatedNumberScheduled === 2;
    });
    expect((await list()).length).toBeGreaterThanOrEqual(2);
    await world.client.raw(
      'DELETE',
      '/apis/apps/v1/namespaces/default/controllerrevisions?labelSelector=app%3Drevised',
    );
    await world.patch(DAEMON_SETS, 'revised', { metadata: { annotations: { look: 'again' } } });
    await eventually('the one in use again', async () => (await list()).length === 1);
  });
});

describe('a disruption budget', () => {
  const budget = (name: string, spec: object) =>
    world.client.create(POD_DISRUPTION_BUDGETS, {
      apiVersion: 'policy/v1',
      kind: 'PodDisruptionBudget',
      metadata: { ...keyOf(name), labels: { app: name } },
      spec: { selector: { matchLabels: { app: name } }, ...spec },
    });
  const pod = (name: string, app: string) =>
    world.client.create(PODS, {
      apiVersion: 'v1',
      kind: 'Pod',
      ...templateOf(app, 'v1'),
      metadata: { ...keyOf(name), labels: { app } },
    } as never);
  const evict = (name: string) => {
    const body = { apiVersion: 'policy/v1', kind: 'Eviction', metadata: keyOf(name) };
    return world.client.createSubresource(PODS, keyOf(name), 'eviction', body);
  };

  it('blocks an eviction until it is changed to allow it', async () => {
    await budget('blocking', { minAvailable: 3 });
    for (const name of ['b-0', 'b-1', 'b-2']) await pod(name, 'blocking');
    await world.readyPods('blocking', 3);
    const allowed = (count: number) =>
      world.until(POD_DISRUPTION_BUDGETS, 'blocking', `${count}`, ({ status, metadata }) => {
        const seen = status?.observedGeneration === metadata.generation;
        return seen && status?.currentHealthy === 3 && status.disruptionsAllowed === count;
      });
    await allowed(0);
    await expect(evict('b-0')).rejects.toThrow("would violate the pod's disruption budget");
    await world.patch(POD_DISRUPTION_BUDGETS, 'blocking', { spec: { minAvailable: 2 } });
    await allowed(1);
    await evict('b-0');
    await eventually('two Pods', async () => (await world.pods('blocking')).length === 2);
  });

  it('can have its status written, is corrected, and goes with a collection', async () => {
    await budget('written', { minAvailable: 1 });
    await pod('w-0', 'written');
    await world.readyPods('written', 1);
    await world.until(
      POD_DISRUPTION_BUDGETS,
      'written',
      'one',
      (b) => b.status?.currentHealthy === 1,
    );
    await world.patch(
      POD_DISRUPTION_BUDGETS,
      'written',
      { status: { currentHealthy: 9 } },
      'status',
    );
    await world.until(
      POD_DISRUPTION_BUDGETS,
      'written',
      'one',
      (b) => b.status?.currentHealthy === 1,
    );
    const path =
      '/apis/policy/v1/namespaces/default/poddisruptionbudgets?labelSelector=app%3Dwritten';
    await world.client.raw('DELETE', path);
    const left = (await world.client.raw('GET', path)) as { items: object[] };
    expect(left.items).toEqual([]);
  });
});

it('needs no more than the rights of its controllers', async () => {
  expect(await world.refusals()).toEqual([]);
});
