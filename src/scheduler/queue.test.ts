import { describe, expect, it } from 'vitest';
import { FakeClock } from '../util/clock.fake.ts';
import type { Wake } from './cluster-events.ts';
import { makePod, podInfo } from './objects.fake.ts';
import { prioritySort } from './plugins/priority-sort.ts';
import { schedulingGates } from './plugins/scheduling-gates.ts';
import { PodInfo } from './pod-info.ts';
import { SchedulingQueue } from './queue.ts';
import { WakeTable } from './wake-table.ts';

const wakes: { name: string; wakeOn: Wake[] }[] = [
  { name: 'Fit', wakeOn: [{ on: ['Node/Add'] }] },
  { name: 'Picky', wakeOn: [{ on: ['Node/Add'], helps: (_pod, { after }) => after === 'good' }] },
];

function start() {
  const clock = new FakeClock();
  const queue = new SchedulingQueue(
    {
      clock,
      less: (a, b) => prioritySort.less(a, b),
      gate: (pod) => (schedulingGates.preEnqueue(pod) ? schedulingGates.name : undefined),
      wakes: new WakeTable([...wakes, schedulingGates]),
    },
    { initialBackoffMs: 1000, maxBackoffMs: 10_000 },
  );
  /** Takes the next Pod and gives it back as refused by `plugin`. */
  const refuse = (plugin: string) => {
    const pod = queue.tryPop();
    if (!pod) throw new Error('nothing to pop');
    pod.rejectedBy = new Set([plugin]);
    queue.giveBack(pod);
    return pod;
  };
  const pop = () => queue.tryPop()?.info.pod.metadata.name;
  return { clock, queue, refuse, pop };
}

describe('SchedulingQueue', () => {
  it('gives the highest priority first, then who has waited longest', async () => {
    const { clock, queue, pop } = start();
    queue.add(podInfo('old'));
    await clock.advance(1);
    queue.add(podInfo('new'));
    queue.add(podInfo('vip', { priority: 10 }));
    expect([pop(), pop(), pop(), pop()]).toEqual(['vip', 'old', 'new', undefined]);
  });

  it('lets new Pods and refused ones of the same priority take turns', async () => {
    const { clock, queue, refuse, pop } = start();
    for (let i = 0; i < 1000; i++) queue.add(podInfo(`refused-${i}`));
    for (let i = 0; i < 1000; i++) refuse('Fit');
    await clock.advance(60_000);
    queue.move(['Node/Add'], {});
    expect(queue.sizes.active).toBe(1000);
    queue.add(podInfo('new-1'));
    queue.add(podInfo('new-2'));
    queue.add(podInfo('low', { priority: -1 }));
    expect([pop(), pop(), pop(), pop()]).toEqual(['new-1', 'refused-0', 'new-2', 'refused-1']);
    queue.add(podInfo('vip', { priority: 1 }));
    expect(pop()).toBe('vip');
  });

  it('wakes a refused Pod only for an event that can help it', () => {
    const { queue, refuse } = start();
    queue.add(podInfo('p'));
    refuse('Picky');
    queue.move(['Node/Delete'], {});
    queue.move(['Node/Add'], { after: 'bad' });
    expect(queue.sizes).toMatchObject({ unschedulable: 1, backoff: 0 });
    queue.move(['Node/Add'], { after: 'good' });
    expect(queue.sizes).toMatchObject({ unschedulable: 0, backoff: 1 });
  });

  it('does not lose an event that happens while the Pod is in flight', () => {
    const { queue } = start();
    queue.add(podInfo('p'));
    const pod = queue.tryPop();
    if (!pod) throw new Error('nothing to pop');
    queue.move(['Node/Add'], { after: 'good' });
    pod.rejectedBy = new Set(['Picky']);
    queue.giveBack(pod);
    expect(queue.sizes).toMatchObject({ unschedulable: 0, backoff: 1 });
  });

  it('makes failures wait longer each time, up to ten seconds', async () => {
    const { clock, queue } = start();
    queue.add(podInfo('p'));
    const waits: number[] = [];
    for (let i = 0; i < 6; i++) {
      const pod = queue.tryPop();
      if (!pod) throw new Error('nothing to pop');
      queue.giveBack(pod);
      expect(queue.tryPop()).toBeUndefined();
      waits.push(pod.readyAt - clock.now());
      await clock.advance(pod.readyAt - clock.now());
    }
    expect(waits).toEqual([1000, 2000, 4000, 8000, 10_000, 10_000]);
  });

  it('tries a woken Pod early when there is nothing else to do', () => {
    const { queue, refuse, pop } = start();
    queue.add(podInfo('p'));
    refuse('Fit');
    expect(pop()).toBeUndefined();
    queue.move(['Node/Add'], {});
    expect(pop()).toBe('p');
  });

  it('tries every Pod again after five minutes', async () => {
    const { clock, queue, refuse, pop } = start();
    queue.add(podInfo('p'));
    refuse('Fit');
    await clock.advance(4 * 60_000);
    expect(pop()).toBeUndefined();
    await clock.advance(90_000);
    expect(pop()).toBe('p');
  });

  it('holds gated Pods, whatever happens, until their gates are gone', async () => {
    const { clock, queue, pop } = start();
    const pod = makePod('p', { spec: { schedulingGates: [{ name: 'x' }] } });
    queue.add(new PodInfo(pod));
    queue.move(['Node/Add'], {});
    await clock.advance(10 * 60_000);
    expect(pop()).toBeUndefined();
    expect(queue.sizes).toMatchObject({ gated: 1, unschedulable: 0 });
    const free = new PodInfo({
      ...pod,
      spec: { ...pod.spec, schedulingGates: [], containers: [] },
    });
    queue.update(new PodInfo(pod), free, ['Pod/UpdateSchedulingGates']);
    expect(pop()).toBe('p');
  });

  it('never lets a Pod that cannot be placed block one that can', () => {
    const { queue, refuse, pop } = start();
    for (let i = 0; i < 10_000; i++) queue.add(podInfo(`huge-${i}`, { priority: 5 }));
    for (let i = 0; i < 10_000; i++) refuse('Fit');
    queue.add(podInfo('small'));
    expect(pop()).toBe('small');
  });
});
