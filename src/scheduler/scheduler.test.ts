import { afterEach, describe, expect, it, vi } from 'vitest';
import { NODES, PODS } from '../api/resource-types.ts';
import { realClock } from '../util/clock.ts';
import { makeNode, makePod } from './objects.fake.ts';
import { runningScheduler } from './running.fake.ts';

const stops: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const stop of stops.splice(0)) await stop();
});

function start() {
  const scheduler = runningScheduler(realClock);
  stops.push(scheduler.stop);
  return scheduler;
}

describe('Scheduler', () => {
  it('binds a Pod to the node with the most room and says so', async () => {
    const { client, events, nodeOf } = start();
    client.seed(NODES, makeNode('full', { cpu: '1' }), makeNode('roomy', { cpu: '8' }));
    client.seed(PODS, makePod('busy', { nodeName: 'full', cpu: '500m' }));
    await client.create(PODS, makePod('web', { cpu: '200m' }));
    await vi.waitFor(() => expect(nodeOf('web')).toBe('roomy'), 30_000);
    await vi.waitFor(
      () =>
        expect(events.lines).toContain(
          'Normal Scheduled default/web: Successfully assigned default/web to roomy',
        ),
      30_000,
    );
  });

  it('tells why a Pod fits nowhere, and places it once a node has room', async () => {
    const { client, events, nodeOf, condition } = start();
    client.seed(NODES, makeNode('small', { cpu: '1' }), {
      ...makeNode('cordoned', { cpu: '8' }),
      spec: { unschedulable: true },
    });
    await client.create(PODS, makePod('big', { cpu: '4' }));
    const why =
      '0/2 nodes are available: 1 Insufficient cpu, 1 node(s) were unschedulable. preemption: 0/2 nodes are available: 2 Preemption is not helpful for scheduling.';
    await vi.waitFor(() => expect(condition('big')?.message).toBe(why), 30_000);
    expect(condition('big')).toMatchObject({
      type: 'PodScheduled',
      status: 'False',
      reason: 'Unschedulable',
    });
    expect(events.lines).toContain(`Warning FailedScheduling default/big: ${why}`);
    await client.create(NODES, makeNode('large', { cpu: '16' }));
    await vi.waitFor(() => expect(nodeOf('big')).toBe('large'), { timeout: 30_000 });
  });

  it('says that there is no node', async () => {
    const { client, condition } = start();
    await client.create(PODS, makePod('lonely'));
    await vi.waitFor(
      () => expect(condition('lonely')?.message).toBe('no nodes available to schedule pods'),
      30_000,
    );
  });

  it('never puts two Pods on the last free place', async () => {
    const { client, nodeOf, condition } = start();
    client.seed(NODES, makeNode('one', { cpu: '1' }));
    await client.create(PODS, makePod('first', { cpu: '600m' }));
    await client.create(PODS, makePod('second', { cpu: '600m' }));
    await vi.waitFor(
      () => expect(condition('second')?.message).toContain('1 Insufficient cpu'),
      30_000,
    );
    expect(nodeOf('first')).toBe('one');
    expect(nodeOf('second')).toBeUndefined();
  });

  it('places a Pod that wants to be with its like once the last of them is gone', async () => {
    const { client, nodeOf, condition } = start();
    const cordoned = { ...makeNode('cordoned'), spec: { unschedulable: true } };
    client.seed(NODES, cordoned, makeNode('free'));
    const labels = { app: 'db' };
    client.seed(PODS, makePod('first', { nodeName: 'cordoned', labels }));
    const term = { labelSelector: { matchLabels: labels }, topologyKey: 'kubernetes.io/hostname' };
    const podAffinity = { requiredDuringSchedulingIgnoredDuringExecution: [term] };
    await client.create(PODS, makePod('second', { labels, spec: { affinity: { podAffinity } } }));
    await vi.waitFor(
      () => expect(condition('second')?.message).toContain('match pod affinity rules'),
      30_000,
    );
    await client.delete(
      PODS,
      { namespace: 'default', name: 'first' },
      {
        gracePeriodSeconds: 0,
      },
    );
    await vi.waitFor(() => expect(nodeOf('second')).toBeDefined(), 30_000);
  });

  it('tries again when a binding fails, and frees what it had booked', async () => {
    const { client, nodeOf } = start();
    client.seed(NODES, makeNode('one', { cpu: '1' }));
    const stop = client.react((action) =>
      action.subresource === 'binding' ? new Error('connection lost') : undefined,
    );
    await client.create(PODS, makePod('web', { cpu: '600m' }));
    await vi.waitFor(
      () => expect(client.log).toContain('createSubresource pods/binding default/web'),
      30_000,
    );
    stop();
    await vi.waitFor(() => expect(nodeOf('web')).toBe('one'), { timeout: 30_000 });
  });

  it('leaves Pods of other schedulers alone, and gated ones until their gates are gone', async () => {
    const { client, nodeOf } = start();
    client.seed(NODES, makeNode('one'));
    await client.create(PODS, makePod('other', { schedulerName: 'mine' }));
    const gated = makePod('gated');
    await client.create(PODS, {
      ...gated,
      spec: { containers: [], ...gated.spec, schedulingGates: [{ name: 'example.com/wait' }] },
    });
    await client.create(PODS, makePod('plain'));
    await vi.waitFor(() => expect(nodeOf('plain')).toBe('one'), 30_000);
    expect(nodeOf('gated')).toBeUndefined();
    expect(nodeOf('other')).toBeUndefined();
    const stored = client.all(PODS).find((pod) => pod.metadata.name === 'gated');
    if (!stored) throw new Error('gated is gone');
    await client.update(PODS, { ...stored, spec: { containers: [], ...gated.spec } });
    await vi.waitFor(() => expect(nodeOf('gated')).toBe('one'), 30_000);
  });
});
