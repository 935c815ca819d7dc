import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { isNotFound } from '../../src/api/errors.ts';
import { EVENTS, NAMESPACES, NODES, PODS, SERVICE_ACCOUNTS } from '../../src/api/resource-types.ts';
import type { Draft, Node, Pod, PodSpec } from '../../src/api/types.ts';
import { run } from '../../src/host/exec.ts';
import { type ControlPlane, startControlPlane } from '../support/control-plane.ts';

let plane: ControlPlane;
beforeAll(async () => {
  plane = await startControlPlane();
  await plane.client.create(NAMESPACES, {
    apiVersion: 'v1',
    kind: 'Namespace',
    metadata: { name: 'sched' },
  });
  // Every Pod runs as one; elsewhere a controller makes it.
  await plane.client.create(SERVICE_ACCOUNTS, {
    apiVersion: 'v1',
    kind: 'ServiceAccount',
    metadata: { name: 'default', namespace: 'sched' },
  });
});
afterAll(() => plane?.stop());

function node(name: string, cpu: string): Draft<Node> {
  return {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { name, labels: { 'kubernetes.io/hostname': name } },
    status: {
      allocatable: { cpu, memory: '8Gi', pods: '20' },
      capacity: { cpu, memory: '8Gi', pods: '20' },
    },
  };
}

function pod(name: string, cpu: string, spec: Partial<PodSpec> = {}): Draft<Pod> {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace: 'sched' },
    spec: {
      containers: [{ name: 'main', image: 'pause', resources: { requests: { cpu } } }],
      ...spec,
    },
  };
}

const get = (name: string) => plane.client.get(PODS, { namespace: 'sched', name });
/** It has tried, with all nodes, and says why it cannot. */
const refused = (name: string) =>
  vi.waitFor(async () => {
    const condition = (await get(name)).status?.conditions?.find((c) => c.type === 'PodScheduled');
    expect(condition).toMatchObject({ status: 'False', reason: 'Unschedulable' });
    expect(condition?.message).toMatch(/^0\/2 nodes are available: 2 Insufficient cpu\. /);
  }, 30_000);
const placed = (name: string, on: string) =>
  vi.waitFor(async () => expect((await get(name)).spec?.nodeName).toBe(on), { timeout: 30_000 });

describe('the scheduler beside a real API server', () => {
  it('binds, reports and explains', async () => {
    await plane.client.create(NODES, node('small', '1'));
    await plane.client.create(NODES, node('large', '4'));
    // Nodes and Pods come by different ways: who knows of a Pod need not know of the node that was there before it.
    await plane.client.create(PODS, pod('huge', '64'));
    await refused('huge');
    await plane.client.create(PODS, pod('web', '500m'));
    await placed('web', 'large');
    const bound = await get('web');
    expect(bound.status?.conditions?.find((c) => c.type === 'PodScheduled')?.status).toBe('True');
    await vi.waitFor(async () => {
      const events = (await plane.client.list(EVENTS, { namespace: 'sched' })).items;
      const scheduled = events.find((event) => event.reason === 'Scheduled');
      expect(scheduled?.message).toBe('Successfully assigned sched/web to large');
      expect(scheduled?.source?.component ?? scheduled?.reportingComponent).toBe(
        'default-scheduler',
      );
    }, 30_000);
    const { stdout } = await explain('web');
    expect(stdout).toContain('Outcome:   placed on large');
    expect(stdout).toMatch(/^small +\d+/m);
    expect(stdout).toContain('NodeResourcesFit');
  });

  it('says in events and conditions why a Pod waits', async () => {
    await vi.waitFor(async () => {
      const { items } = await plane.client.list(EVENTS, { namespace: 'sched' });
      expect(items.map(({ reason }) => reason)).toContain('FailedScheduling');
    }, 30_000);
    await refused('huge');
    expect((await explain('huge')).stdout).toMatch(/large +NodeResourcesFit +Insufficient cpu/);
  });

  it('evicts what is less important to make room', async () => {
    await plane.client.raw('POST', '/apis/scheduling.k8s.io/v1/priorityclasses', {
      apiVersion: 'scheduling.k8s.io/v1',
      kind: 'PriorityClass',
      metadata: { name: 'high' },
      value: 1000,
    });
    await plane.client.create(PODS, pod('filler', '3400m'));
    await placed('filler', 'large');
    const priority = { priorityClassName: 'high', priority: 1000 };
    await plane.client.create(PODS, pod('vip', '3', { ...priority }));
    await vi.waitFor(async () => {
      const filler = await get('filler');
      expect(filler.metadata.deletionTimestamp).toBeDefined();
      expect(filler.status?.conditions?.find((c) => c.type === 'DisruptionTarget')).toMatchObject({
        reason: 'PreemptionByScheduler',
      });
      expect((await get('vip')).status?.nominatedNodeName).toBe('large');
    }, 30_000);
    // The kubelet's part: the containers have ended.
    await plane.client.delete(
      PODS,
      { namespace: 'sched', name: 'filler' },
      { gracePeriodSeconds: 0 },
    );
    await placed('vip', 'large');
    await expect(get('filler')).rejects.toSatisfy(isNotFound);
  });

  it('shows health to everybody and decisions only to those who may', async () => {
    const ask = (path: string) =>
      run('curl', [
        '-sk',
        '-o',
        '/dev/null',
        '-w',
        '%{http_code}',
        `https://127.0.0.1:${plane.schedulerPort}${path}`,
      ]);
    expect((await ask('/healthz')).stdout).toBe('200');
    expect((await ask('/metrics')).stdout).toBe('401');
    expect((await ask('/debug/decisions?namespace=sched&pod=web')).stdout).toBe('401');
    // Known to the cluster, and without the right.
    await expect(explain('web', 'controller-manager')).rejects.toThrow(/forbidden|403/i);
  });
});

function explain(name: string, as = 'super-admin') {
  const k8ts = resolve(import.meta.dirname, '../../bin/k8ts');
  const scheduler = `https://127.0.0.1:${plane.schedulerPort}`;
  return run(k8ts, [
    ...['explain', 'pod', name, '-n', 'sched', '--scheduler', scheduler],
    ...['--kubeconfig', join(plane.root, `etc/k8ts/${as}.conf`)],
  ]);
}
