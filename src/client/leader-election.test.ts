import { describe, expect, it } from 'vitest';
import { LEASES } from '../api/resource-types.ts';
import { FakeClock } from '../util/clock.fake.ts';
import { aborted } from '../util/lifecycle.ts';
import { silent } from '../util/log.ts';
import { FakeClient } from './client.fake.ts';
import { LeaderElector } from './leader-election.ts';

const lease = { namespace: 'kube-system', name: 'kube-controller-manager' };

function candidate(client: FakeClient, steady: FakeClock, identity: string, wall = steady) {
  // Timers go by the steady clock; only the hour is the wall clock's.
  const clock = {
    now: () => wall.now(),
    sleep: (ms: number, signal?: AbortSignal) => steady.sleep(ms, signal),
    after: (ms: number, fn: () => void) => steady.after(ms, fn),
  };
  const elector = new LeaderElector({ client, clock, steady, log: silent }, { lease, identity });
  const stop = new AbortController();
  const state = { leads: false };
  const done = elector.run(stop.signal, async (signal) => {
    state.leads = true;
    await aborted(signal);
    state.leads = false;
  });
  return { state, stop, done };
}

/** From now on the next request, and those that follow it, are answered only when told so. */
function hanging(client: FakeClient): { answer(): void } {
  const answered = Promise.withResolvers<void>();
  const { get } = client;
  client.get = async (...args) => {
    await answered.promise;
    return get.apply(client, args) as never;
  };
  return { answer: answered.resolve };
}

describe('LeaderElector', () => {
  it('lets one lead, and the next at once when the first releases', async () => {
    const client = new FakeClient();
    const clock = new FakeClock();
    const a = candidate(client, clock, 'a');
    await clock.advance(0);
    const b = candidate(client, clock, 'b');
    await clock.advance(60_000);
    expect([a.state.leads, b.state.leads]).toEqual([true, false]);
    a.stop.abort();
    await a.done;
    await clock.advance(5_000);
    expect(b.state.leads).toBe(true);
    const held = await client.get(LEASES, lease);
    expect(held.spec).toMatchObject({ holderIdentity: 'b', leaseTransitions: 1 });
    b.stop.abort();
    await b.done;
  });

  it('takes over when the leader is silent for the duration of the lease', async () => {
    const client = new FakeClient();
    const clock = new FakeClock();
    client.seed(LEASES, {
      apiVersion: 'coordination.k8s.io/v1',
      kind: 'Lease',
      metadata: lease,
      spec: { holderIdentity: 'dead', leaseDurationSeconds: 15, leaseTransitions: 0 },
    });
    const b = candidate(client, clock, 'b');
    await clock.advance(0);
    await clock.advance(14_900);
    expect(b.state.leads).toBe(false);
    await clock.advance(5_000);
    expect(b.state.leads).toBe(true);
    b.stop.abort();
    await b.done;
  });

  it.each([-3_600_000, 3_600_000])(
    'does not care when the wall clock is set by %i ms',
    async (by) => {
      const client = new FakeClient();
      const clock = new FakeClock();
      const wall = new FakeClock();
      const a = candidate(client, clock, 'a', wall);
      await clock.advance(0);
      const b = candidate(client, clock, 'b', wall);
      await clock.advance(0);
      wall.now = () => clock.now() + by;
      let down = false;
      client.react(() => (down ? new Error('unreachable') : undefined));
      await clock.advance(60_000);
      expect([a.state.leads, b.state.leads]).toEqual([true, false]);
      // The deadline for renewing does not move either.
      down = true;
      wall.now = () => clock.now() - by;
      const failed = expect(a.done).rejects.toThrow('Lost the lease');
      await clock.advance(9_000);
      expect(a.state.leads).toBe(true);
      await clock.advance(3_000);
      expect(a.state.leads).toBe(false);
      await failed;
      down = false;
      await clock.advance(20_000);
      expect(b.state.leads).toBe(true);
      b.stop.abort();
      await b.done;
    },
  );

  it('gives up the lead when nothing answers: another has it by the time that an answer comes', async () => {
    const client = new FakeClient();
    const clock = new FakeClock();
    const a = candidate(client, clock, 'a');
    await clock.advance(0);
    const b = candidate(client, clock, 'b');
    await clock.advance(3_000);
    expect(a.state.leads).toBe(true);
    const hung = hanging(client);
    const failed = expect(a.done).rejects.toThrow('Lost the lease');
    await clock.advance(8_000);
    expect(a.state.leads).toBe(true);
    await clock.advance(4_000);
    expect(a.state.leads).toBe(false);
    hung.answer();
    for (let i = 0; i < 10; i++) await clock.advance(5_000);
    expect(b.state.leads).toBe(true);
    await failed;
    b.stop.abort();
    await b.done;
  });

  it('gives up the lead when it cannot renew', async () => {
    const client = new FakeClient();
    const clock = new FakeClock();
    const a = candidate(client, clock, 'a');
    await clock.advance(0);
    expect(a.state.leads).toBe(true);
    client.react(() => new Error('unreachable'));
    const failed = expect(a.done).rejects.toThrow('Lost the lease');
    await clock.advance(9_000);
    expect(a.state.leads).toBe(true);
    await clock.advance(3_000);
    expect(a.state.leads).toBe(false);
    await failed;
  });

  it('does not wait for work that hangs when the lead is lost', async () => {
    const client = new FakeClient();
    const clock = new FakeClock();
    const elector = new LeaderElector({ client, clock, log: silent }, { lease, identity: 'a' });
    const told = Promise.withResolvers<AbortSignal>();
    const done = elector.run(new AbortController().signal, (signal) => {
      told.resolve(signal);
      return Promise.withResolvers<void>().promise;
    });
    const failed = expect(done).rejects.toThrow('Lost the lease');
    await clock.advance(0);
    client.react(() => new Error('unreachable'));
    await clock.advance(12_000);
    await failed;
    expect((await told.promise).aborted).toBe(true);
  });
});
