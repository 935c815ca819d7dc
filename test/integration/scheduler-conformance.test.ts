import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { isNotFound } from '../../src/api/errors.ts';
import { EVENTS, LIMIT_RANGES, NODES, PODS, REPLICA_SETS } from '../../src/api/resource-types.ts';
import { PRIORITY_CLASSES } from '../../src/api/system-resource-types.ts';
import type { Draft, Pod, PodSpec } from '../../src/api/types.ts';
import { createInformer } from '../../src/client/informer.ts';
import { type ControlPlane, startControlPlane } from '../support/control-plane.ts';
import { eventually } from '../support/eventually.ts';
import { type MadeUpNodes, madeUpNodes } from '../support/made-up-nodes.ts';

// What upstream's conformance tests of sig-scheduling ask for, one after the other ([Serial]), with nodes without machines.
const FAKE = 'example.com/fake';
const HERE = { namespace: 'default' };

let plane: ControlPlane;
let nodes: MadeUpNodes;
beforeAll(async () => {
  plane = await startControlPlane({ controllers: true });
  nodes = await madeUpNodes(plane.client, { names: ['a', 'b'] });
  for (const [name, value] of [
    ['low', 1],
    ['middle', 2],
    ['high', 3],
    ['highest', 4],
  ] as const) {
    await plane.client.create(PRIORITY_CLASSES, {
      ...{ apiVersion: 'scheduling.k8s.io/v1', kind: 'PriorityClass', metadata: { name }, value },
    });
  }
});
afterAll(async () => {
  await nodes?.stop();
  await plane?.stop();
});

async function setFake(amount: string): Promise<void> {
  for (const name of ['a', 'b']) {
    const status = { capacity: { [FAKE]: amount }, allocatable: { [FAKE]: amount } };
    const key = { namespace: '', name };
    const patch = { type: 'merge' as const, body: { status } };
    await plane.client.patch(NODES, key, patch, { subresource: 'status' });
  }
}

interface Shape {
  readonly fake?: string;
  readonly namespace?: string;
  readonly spec?: Partial<PodSpec>;
  readonly finalizers?: string[];
  readonly port?: { hostPort: number; hostIP?: string; protocol?: string };
}

function pod(name: string, shape: Shape = {}): Draft<Pod> {
  const { fake, namespace = 'default', finalizers = [], port, spec } = shape;
  const amounts = fake ? { requests: { [FAKE]: fake }, limits: { [FAKE]: fake } } : {};
  const ports = port ? { ports: [{ containerPort: 80, ...port }] } : {};
  return {
    ...{ apiVersion: 'v1', kind: 'Pod', metadata: { name, namespace, finalizers } },
    spec: {
      containers: [{ name: 'main', image: 'pause', resources: amounts, ...ports }],
      terminationGracePeriodSeconds: 1,
      ...spec,
    },
  };
}

const create = (made: Draft<Pod>) => plane.client.create(PODS, made);
const now = (name: string, namespace = 'default') => plane.client.get(PODS, { namespace, name });
const placed = (name: string, namespace?: string) =>
  eventually(`${name} has a node`, async () => (await now(name, namespace)).spec?.nodeName);
const gone = (name: string) =>
  eventually(`${name} is gone`, () => now(name).then(() => false, isNotFound));
const refused = (name: string, why: string) =>
  eventually(`${name} waits: ${why}`, async () => {
    const { items } = await plane.client.list(EVENTS, HERE);
    const about = items.filter(({ involvedObject }) => involvedObject.name === name);
    return about.some(
      ({ reason, message }) => reason === 'FailedScheduling' && message?.includes(why),
    );
  });

async function removeAll(): Promise<void> {
  const { items } = await plane.client.list(PODS, HERE);
  for (const { metadata } of items) {
    await plane.client.delete(PODS, metadata, { gracePeriodSeconds: 0 }).catch(() => {});
  }
  await eventually('all Pods are gone', async () => {
    return (await plane.client.list(PODS, HERE)).items.length === 0;
  });
}

describe('LimitRange', () => {
  it('gives Pods defaults, and refuses what is out of range', async () => {
    await plane.client.create(LIMIT_RANGES, {
      ...{ apiVersion: 'v1', kind: 'LimitRange', metadata: { name: 'limits', ...HERE } },
      spec: {
        limits: [
          {
            type: 'Container',
            min: { cpu: '50m' },
            max: { cpu: '1' },
            default: { cpu: '500m' },
            defaultRequest: { cpu: '100m' },
          },
        ],
      },
    });
    const made = await create(pod('defaulted'));
    expect(made.spec?.containers[0]?.resources).toMatchObject({
      limits: { cpu: '500m' },
      requests: { cpu: '100m' },
    });
    const greedy = pod('greedy');
    const [container] = greedy.spec?.containers ?? [];
    if (container) container.resources = { limits: { cpu: '2' } };
    await expect(create(greedy)).rejects.toThrow('maximum cpu usage per Container is 1');
  });

  it('can be listed, patched and deleted as a collection', async () => {
    const key = { name: 'limits', ...HERE };
    const body = { metadata: { labels: { patched: 'yes' } } };
    await plane.client.patch(LIMIT_RANGES, key, { type: 'strategic', body });
    const selection = { ...HERE, labelSelector: 'patched=yes' };
    expect((await plane.client.list(LIMIT_RANGES, selection)).items).toHaveLength(1);
    const path = '/api/v1/namespaces/default/limitranges?labelSelector=patched%3Dyes';
    await plane.client.raw('DELETE', path);
    expect((await plane.client.list(LIMIT_RANGES, selection)).items).toHaveLength(0);
    await removeAll();
  });
});

describe('SchedulerPredicates', () => {
  it('keeps the limits of nodes', async () => {
    await setFake('1000');
    await create(pod('filler-1', { fake: '700' }));
    await create(pod('filler-2', { fake: '700' }));
    expect([await placed('filler-1'), await placed('filler-2')].sort()).toEqual(['a', 'b']);
    await create(pod('additional', { fake: '500' }));
    await refused('additional', `0/2 nodes are available: 2 Insufficient ${FAKE}.`);
    await removeAll();
  });

  it('respects a node selector that matches none', async () => {
    await create(pod('restricted', { spec: { nodeSelector: { label: 'nonempty' } } }));
    await refused('restricted', "2 node(s) didn't match Pod's node affinity/selector");
    await removeAll();
  });

  it('respects a node selector that matches', async () => {
    const body = { metadata: { labels: { 'example.com/e2e': '42' } } };
    await plane.client.patch(NODES, { namespace: '', name: 'b' }, { type: 'merge', body });
    await create(pod('with-labels', { spec: { nodeSelector: { 'example.com/e2e': '42' } } }));
    expect(await placed('with-labels')).toBe('b');
    await removeAll();
  });

  it('knows that 0.0.0.0 takes a port of every address', async () => {
    const nodeSelector = { 'kubernetes.io/hostname': 'a' };
    const at = (hostPort: number, hostIP?: string) => ({
      port: { hostPort, protocol: 'TCP', ...(hostIP ? { hostIP } : {}) },
      spec: { nodeSelector },
    });
    await create(pod('pod4', at(54_322)));
    expect(await placed('pod4')).toBe('a');
    await create(pod('pod5', at(54_322, '127.0.0.1')));
    await refused('pod5', "node(s) didn't have free ports for the requested pod ports");
    await create(pod('pod6', at(54_323, '127.0.0.1')));
    expect(await placed('pod6')).toBe('a');
    await removeAll();
  });
});

describe('SchedulerPreemption', () => {
  const fill = async (shape: Shape = {}) => {
    await setFake('5');
    // The first Pod is the least important one.
    for (const [i, priorityClassName] of ['low', 'middle'].entries()) {
      const spec = { priorityClassName, ...shape.spec };
      await create(pod(`pod${i}`, { fake: '4', ...shape, spec }));
      await placed(`pod${i}`);
    }
  };

  it('evicts the Pod of the lowest priority', async () => {
    await fill();
    await create(pod('preemptor', { fake: '4', spec: { priorityClassName: 'high' } }));
    await placed('preemptor');
    await gone('pod0');
    expect((await now('pod1')).metadata.deletionTimestamp).toBeUndefined();
    await removeAll();
  });

  it('evicts for a critical Pod', async () => {
    await fill();
    const spec = { priorityClassName: 'system-cluster-critical' };
    await create(pod('critical', { fake: '4', namespace: 'kube-system', spec }));
    await placed('critical', 'kube-system');
    await gone('pod0');
    expect((await now('pod1')).metadata.deletionTimestamp).toBeUndefined();
    await plane.client.delete(PODS, { namespace: 'kube-system', name: 'critical' });
    await removeAll();
  });

  it('writes the disruption condition into the Pod that goes', async () => {
    const finalizer = 'example.com/test';
    await fill({ finalizers: [finalizer] });
    await create(pod('preemptor', { fake: '4', spec: { priorityClassName: 'high' } }));
    const victim = await eventually('pod0 is being deleted', async () => {
      const found = await now('pod0');
      return found.metadata.deletionTimestamp === undefined ? undefined : found;
    });
    const condition = victim.status?.conditions?.find(({ type }) => type === 'DisruptionTarget');
    expect(condition).toMatchObject({ status: 'True', reason: 'PreemptionByScheduler' });
    for (const name of ['pod0', 'pod1']) {
      const body = { metadata: { finalizers: null } };
      await plane.client.patch(PODS, { ...HERE, name }, { type: 'merge', body });
    }
    await placed('preemptor');
    await removeAll();
  });

  it('evicts no more Pods of ReplicaSets than it needs to', async () => {
    await setFake('1000');
    const made = new Map<string, Set<string>>();
    const watching = new AbortController();
    const pods = createInformer(plane.client, PODS, HERE);
    pods.addHandler({
      onAdd({ metadata }) {
        const set = metadata.labels?.set ?? '';
        made.set(set, (made.get(set) ?? new Set()).add(metadata.uid));
      },
    });
    const running = pods.run(watching.signal);
    const nodeSelector = { 'kubernetes.io/hostname': 'a' };
    for (const [set, priorityClassName, fake] of [
      ['rs1', 'low', '200'],
      ['rs2', 'middle', '300'],
      ['rs3', 'high', '450'],
    ] as const) {
      const template = pod('', { fake, spec: { priorityClassName, nodeSelector } });
      const labels = { set };
      await plane.client.create(REPLICA_SETS, {
        ...{ apiVersion: 'apps/v1', kind: 'ReplicaSet', metadata: { name: set, ...HERE } },
        spec: {
          selector: { matchLabels: labels },
          template: { metadata: { labels }, spec: template.spec },
        },
      });
      await eventually(`the Pod of ${set} runs`, async () => {
        const key = { ...HERE, name: set };
        return (await plane.client.get(REPLICA_SETS, key)).status?.readyReplicas === 1;
      });
    }
    const spec = { priorityClassName: 'highest', nodeSelector };
    await create(pod('preemptor', { fake: '500', spec }));
    expect(await placed('preemptor')).toBe('a');
    const counts = () => ['rs1', 'rs2', 'rs3'].map((set) => made.get(set)?.size);
    await eventually('the ReplicaSets have made new Pods', () => counts().join() === '2,2,1');
    for (const name of ['rs1', 'rs2', 'rs3']) {
      await plane.client.delete(REPLICA_SETS, { ...HERE, name });
    }
    watching.abort();
    await running;
    await removeAll();
  });

  it('serves PriorityClasses, whose value never changes', async () => {
    const key = { namespace: '', name: 'low' };
    const patch = (body: object) =>
      plane.client.patch(PRIORITY_CLASSES, key, { type: 'merge', body });
    await expect(patch({ value: 100 })).rejects.toThrow('may not be changed in an update');
    expect((await patch({ description: 'told' })).description).toBe('told');
    const low = await plane.client.get(PRIORITY_CLASSES, key);
    const changed = plane.client.update(PRIORITY_CLASSES, { ...low, value: 7 });
    await expect(changed).rejects.toThrow('may not be changed in an update');
    await plane.client.delete(PRIORITY_CLASSES, key);
    await expect(plane.client.get(PRIORITY_CLASSES, key)).rejects.toSatisfy(isNotFound);
  });
});
