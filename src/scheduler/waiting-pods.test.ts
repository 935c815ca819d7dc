import { describe, expect, it } from 'vitest';
import { FakeClock } from '../util/clock.fake.ts';
import { WaitingPods } from './waiting-pods.ts';

const both = new Map([
  ['a', 1000],
  ['b', 2000],
]);

describe('WaitingPods', () => {
  it('lets a Pod go on when every plugin has allowed it', async () => {
    const pods = new WaitingPods({ clock: new FakeClock() });
    const decided = pods.wait('p', both);
    pods.allow('p', 'a');
    expect(pods.has('p')).toBe(true);
    pods.allow('p', 'b');
    expect(await decided).toBeUndefined();
    expect(pods.has('p')).toBe(false);
  });

  it('refuses it when one plugin does, or when its time is up', async () => {
    const clock = new FakeClock();
    const pods = new WaitingPods({ clock });
    const refused = pods.wait('p', both);
    pods.reject('p', 'b', 'no quota');
    expect(await refused).toMatchObject({
      code: 'Unschedulable',
      plugin: 'b',
      reasons: ['no quota'],
    });
    const late = pods.wait('q', both);
    await clock.advance(1000);
    expect(await late).toMatchObject({ plugin: 'a' });
    expect(clock.pending).toBe(0);
  });
});
