import { describe, expect, it } from 'vitest';
import { FakeClock } from '../util/clock.fake.ts';
import { DecisionRecord } from './decisions.ts';
import { formatDecision } from './format-decision.ts';
import { testBench } from './framework.fake.ts';
import { makeNode, makePod } from './objects.fake.ts';
import { PodInfo } from './pod-info.ts';
import { unschedulable } from './status.ts';

const decision = (name: string, uid = name) => ({
  ...{ namespace: 'default', name, uid, profile: 'default-scheduler', attempt: 1 },
  ...{ outcome: 'placed' as const, node: 'a', nodeCount: 2, rejections: new Map() },
});

describe('DecisionRecord', () => {
  it('tells each node’s scores per plugin and who refused the others', async () => {
    const bench = testBench();
    bench.addNodes(makeNode('a'), makeNode('b', { cpu: '8' }), makeNode('c', { cpu: '100m' }));
    const placed = await bench.place(makePod('web', { cpu: '1' }));
    if (placed.kind !== 'placed') throw new Error('not placed');
    const record = new DecisionRecord({ clock: new FakeClock() });
    record.add({ ...decision('web'), ...placed, node: placed.nodeName, nodeCount: 3 });
    const report = record.find('default', 'web');
    expect(report?.nodes.map(({ node }) => node)).toEqual(['b', 'a', 'c']);
    expect(report?.nodes[0]?.scores).toMatchObject({ TaintToleration: 300 });
    expect(report?.nodes[2]).toMatchObject({
      rejectedBy: 'NodeResourcesFit',
      reasons: ['Insufficient cpu'],
    });
    if (!report) throw new Error('no report');
    const text = formatDecision(report, 20);
    expect(text).toContain('Outcome:   placed on b');
    expect(text).toMatch(/^c +NodeResourcesFit +Insufficient cpu$/m);
  });

  it('keeps the last decision of a Pod, and of two Pods of one name the newer', () => {
    const record = new DecisionRecord({ clock: new FakeClock() });
    record.add({ ...decision('web', 'old'), attempt: 7 });
    record.add({ ...decision('web', 'new'), attempt: 1 });
    record.add({ ...decision('web', 'new'), attempt: 2 });
    expect(record.find('default', 'web')).toMatchObject({ uid: 'new', attempt: 2 });
    expect(record.find('other', 'web')).toBeUndefined();
  });

  it('stays bounded however many Pods and nodes there are', () => {
    const record = new DecisionRecord({ clock: new FakeClock() });
    const status = unschedulable('no');
    const rejections = new Map(Array.from({ length: 5000 }, (_, i) => [`node-${i}`, status]));
    for (let i = 0; i < 1000; i++) record.add({ ...decision(`pod-${i}`), rejections });
    expect(record.find('default', 'pod-999')).toBeDefined();
    expect(record.find('default', 'pod-0')).toBeUndefined();
  });
});

describe('a profile', () => {
  it('counts a Pod that is nominated to a node as being there', async () => {
    const bench = testBench();
    bench.addNodes(makeNode('one', { cpu: '1' }));
    bench.nominator.nominate(new PodInfo(makePod('first', { cpu: '800m', priority: 5 })), 'one');
    expect((await bench.place(makePod('low', { cpu: '500m' }))).kind).toBe('unschedulable');
    const high = makePod('high', { cpu: '500m', priority: 9 });
    expect((await bench.place(high)).kind).toBe('placed');
    expect(bench.profile.gate(new PodInfo(high))).toBeUndefined();
  });
});
