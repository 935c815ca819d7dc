import { describe, expect, it } from 'vitest';
import { FakeClock } from './clock.fake.ts';
import { Rush } from './rush.ts';

const FOREVER = new AbortController().signal;

function rushOf({ few, calmMs }: { few: number; calmMs: number }) {
  const clock = new FakeClock();
  const rush = new Rush(clock, { few, calmMs });
  const ends: (() => void)[] = [];
  const begin = (count: number) => {
    for (let i = 0; i < count; i++) {
      void rush.during(() => new Promise<void>((resolve) => ends.push(resolve)));
    }
  };
  const end = async (count: number) => {
    for (const resolve of ends.splice(0, count)) resolve();
    await clock.advance(0);
  };
  return { clock, rush, begin, end };
}

describe('Rush', () => {
  it('is on from when there is much until there was only a little for a while', async () => {
    const { clock, rush, begin, end } = rushOf({ few: 2, calmMs: 100 });
    begin(2);
    expect(rush.isOn).toBe(false);
    begin(2);
    expect(rush.isOn).toBe(true);
    await end(1);
    await clock.advance(1000);
    expect(rush.isOn).toBe(true);
    await end(1);
    await clock.advance(60);
    await end(1);
    await clock.advance(39);
    expect(rush.isOn).toBe(true);
    await clock.advance(1);
    expect(rush.isOn).toBe(false);
  });

  it('goes on when there is much again before it was calm', async () => {
    const { clock, rush, begin, end } = rushOf({ few: 2, calmMs: 100 });
    begin(3);
    await end(3);
    await clock.advance(60);
    begin(3);
    await clock.advance(100);
    expect(rush.isOn).toBe(true);
    await end(1);
    await clock.advance(100);
    expect(rush.isOn).toBe(false);
  });

  it('is not kept up by a little now and then', async () => {
    const { clock, rush, begin, end } = rushOf({ few: 2, calmMs: 100 });
    begin(3);
    await end(3);
    await clock.advance(60);
    begin(2);
    await clock.advance(40);
    expect(rush.isOn).toBe(false);
    await end(2);
    await clock.advance(100);
    expect(rush.isOn).toBe(false);
  });

  it('tells all who wait for its end, and lets go who waits no longer', async () => {
    const { clock, rush, begin, end } = rushOf({ few: 0, calmMs: 100 });
    await rush.over(FOREVER);
    begin(1);
    let told = 0;
    const impatient = new AbortController();
    for (const signal of [FOREVER, FOREVER, impatient.signal]) {
      void rush.over(signal).then(() => told++);
    }
    await end(1);
    expect(told).toBe(0);
    impatient.abort();
    await rush.over(impatient.signal);
    expect(told).toBe(1);
    await clock.advance(100);
    expect(told).toBe(3);
  });

  it('answers what the work answers; what failed is over as well', async () => {
    const { clock, rush } = rushOf({ few: 0, calmMs: 100 });
    await expect(rush.during(async () => 'done')).resolves.toBe('done');
    await expect(rush.during(() => Promise.reject(new Error('no')))).rejects.toThrow('no');
    expect(rush.isOn).toBe(true);
    await clock.advance(100);
    expect(rush.isOn).toBe(false);
  });
});
