import { describe, expect, it } from 'vitest';
import { EVENTS } from '../api/resource-types.ts';
import type { Event } from '../api/types.ts';
import { FakeClock } from '../util/clock.fake.ts';
import { silent } from '../util/log.ts';
import { Rush } from '../util/rush.ts';
import { FakeClient } from './client.fake.ts';
import { EventWriter } from './events.ts';

const pod = {
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: 'web', namespace: 'a', uid: 'u1', resourceVersion: '5' },
};

function writer() {
  const client = new FakeClient();
  const clock = new FakeClock(Date.UTC(2026, 0, 1));
  const rush = new Rush(clock, { few: 0, calmMs: 100 });
  const stop = new AbortController();
  const events = new EventWriter(
    { client, clock, log: silent, first: rush },
    { component: 'kubelet', host: 'n1' },
  );
  const running = events.run(stop.signal);
  const finish = async () => {
    await clock.advance(0);
    stop.abort();
    await running;
  };
  return { client, clock, events, finish, rush };
}

describe('EventWriter', () => {
  it('writes an Event as upstream does', async () => {
    const { client, events, finish } = writer();
    events.event({ ...pod, fieldPath: 'spec.containers{web}' }, 'Warning', 'BackOff', 'again');
    await finish();
    expect(client.all(EVENTS)).toMatchObject([
      {
        metadata: { namespace: 'a', name: expect.stringMatching(/^web\.[0-9a-f]{16}$/) },
        involvedObject: { kind: 'Pod', name: 'web', uid: 'u1', fieldPath: 'spec.containers{web}' },
        type: 'Warning',
        reason: 'BackOff',
        message: 'again',
        source: { component: 'kubelet', host: 'n1' },
        reportingComponent: 'kubelet',
        count: 1,
        firstTimestamp: '2026-01-01T00:00:00Z',
        lastTimestamp: '2026-01-01T00:00:00Z',
      },
    ]);
  });

  it('puts an event about a cluster-scoped object into default', async () => {
    const { client, events, finish } = writer();
    const node = { apiVersion: 'v1', kind: 'Node', metadata: { name: 'n1', namespace: '' } };
    events.event(node, 'Normal', 'NodeReady', 'ready');
    await finish();
    expect(client.all(EVENTS)[0]?.metadata.namespace).toBe('default');
  });

  it('counts a repeated event in the one that exists', async () => {
    const { client, clock, events, finish } = writer();
    for (let i = 0; i < 3; i++) {
      events.event(pod, 'Warning', 'BackOff', 'again');
      await clock.advance(10_000);
    }
    await finish();
    expect(client.all(EVENTS)).toMatchObject([
      {
        count: 3,
        firstTimestamp: '2026-01-01T00:00:00Z',
        lastTimestamp: '2026-01-01T00:00:20Z',
      },
    ]);
  });

  it('writes a repeated event anew when its time to live was over', async () => {
    const { client, events, finish, clock } = writer();
    events.event(pod, 'Normal', 'Pulled', 'x');
    await clock.advance(0);
    const [first] = client.all(EVENTS);
    await client.delete(EVENTS, first?.metadata ?? { namespace: '', name: '' });
    events.event(pod, 'Normal', 'Pulled', 'x');
    await finish();
    expect(client.all(EVENTS)).toMatchObject([{ count: 2 }]);
  });

  it('combines many that differ only in their message', async () => {
    const { client, events, finish, clock } = writer();
    for (let i = 0; i < 12; i++) {
      events.event(pod, 'Warning', 'Failed', `try ${i}`);
      await clock.advance(1000);
    }
    await finish();
    const stored = client.all(EVENTS);
    expect(stored).toHaveLength(10);
    expect(stored.at(-1)).toMatchObject({
      message: '(combined from similar events): try 11',
      count: 3,
    });
  });

  it('lets one object spam no more than 25 at once, and one in five minutes', async () => {
    const { client, events, finish, clock } = writer();
    for (let i = 0; i < 40; i++) events.event(pod, 'Normal', `Reason${i}`, 'x');
    for (let i = 0; i < 60; i++) await clock.advance(0);
    expect(client.all(EVENTS)).toHaveLength(25);
    await clock.advance(301_000);
    events.event(pod, 'Normal', 'Later', 'x');
    await finish();
    expect(client.all(EVENTS)).toHaveLength(26);
  });

  it('tries again when the server cannot be reached, and drops what it refuses', async () => {
    const { client, events, finish, clock } = writer();
    const heal = client.react(() => new Error('ECONNREFUSED'));
    events.event(pod, 'Normal', 'Pulled', 'x');
    await clock.advance(1);
    heal();
    await clock.advance(20_000);
    await finish();
    expect(client.all(EVENTS)).toHaveLength(1);
  });

  it('waits while much else is to be done, but not for long', async () => {
    const { client, events, finish, clock, rush } = writer();
    const busy = Promise.withResolvers<void>();
    const work = rush.during(() => busy.promise);
    events.event(pod, 'Normal', 'Pulled', 'x');
    await clock.advance(1999);
    events.event(pod, 'Normal', 'Created', 'x');
    expect(client.all(EVENTS)).toEqual([]);
    await clock.advance(1);
    expect(client.all(EVENTS)).toMatchObject([{ reason: 'Pulled' }]);
    busy.resolve();
    await work;
    await clock.advance(99);
    expect(client.all(EVENTS)).toHaveLength(1);
    await clock.advance(1);
    await finish();
    expect(client.all(EVENTS)).toMatchObject([{ reason: 'Pulled' }, { reason: 'Created' }]);
  });

  it('ends while events wait', async () => {
    const { client, events, finish, rush } = writer();
    void rush.during(() => new Promise(() => {}));
    events.event(pod, 'Normal', 'Pulled', 'x');
    await finish();
    expect(client.all(EVENTS)).toEqual([]);
  });

  it('writes about several objects at once, about one object in order', async () => {
    const { client, events, finish, clock } = writer();
    const held = Promise.withResolvers<void>();
    const create = client.create.bind(client);
    const begun: string[] = [];
    client.create = async (type, draft) => {
      const { involvedObject, reason } = draft as never as Event;
      begun.push(`${involvedObject.name} ${reason}`);
      await held.promise;
      return create(type, draft);
    };
    for (const name of ['a', 'b', 'c']) {
      const metadata = { ...pod.metadata, name, uid: name };
      for (const reason of ['First', 'Second'])
        events.event({ ...pod, metadata }, 'Normal', reason, 'x');
    }
    await clock.advance(0);
    expect(begun).toEqual(['a First', 'b First', 'c First']);
    held.resolve();
    await clock.advance(0);
    await finish();
    expect(begun.slice(3).sort()).toEqual(['a Second', 'b Second', 'c Second']);
    expect(client.all(EVENTS)).toHaveLength(6);
  });
});
