import { describe, expect, it } from 'vitest';
import { FakeClock } from '../../util/clock.fake.ts';
import { endpoint } from '../service-port.fake.ts';
import { EndpointPicker } from './endpoint-picker.ts';

const three = ['10.0.0.1', '10.0.0.2', '10.0.0.3'].map((ip) => endpoint(`${ip}:80`));

function picker(affinitySeconds?: number) {
  const clock = new FakeClock();
  const subject = new EndpointPicker(clock);
  subject.update(three, affinitySeconds);
  return { clock, subject, pick: (client: string) => subject.pick(client)?.ip };
}

describe('EndpointPicker', () => {
  it('takes turns', () => {
    const { pick } = picker();
    expect([pick('a'), pick('a'), pick('a'), pick('a')]).toEqual([
      '10.0.0.1',
      '10.0.0.2',
      '10.0.0.3',
      '10.0.0.1',
    ]);
  });

  it('has nothing to offer without endpoints', () => {
    const { subject, pick } = picker(10);
    subject.update([], 10);
    expect(pick('a')).toBeUndefined();
    subject.update([], undefined);
    expect(pick('a')).toBeUndefined();
  });

  it('keeps a client with affinity until it was silent for the time-out', async () => {
    const { clock, pick } = picker(10);
    expect(pick('a')).toBe('10.0.0.1');
    expect(pick('b')).toBe('10.0.0.2');
    await clock.advance(9_000);
    expect(pick('a')).toBe('10.0.0.1');
    await clock.advance(9_000);
    expect(pick('a')).toBe('10.0.0.1');
    expect(pick('b')).toBe('10.0.0.3');
  });

  it('moves a client whose endpoint is gone or does not answer', () => {
    const { subject, pick } = picker(10);
    expect(pick('a')).toBe('10.0.0.1');
    subject.update(three.slice(1), 10);
    const second = pick('a');
    expect(second).not.toBe('10.0.0.1');
    subject.forget('a');
    expect(pick('a')).not.toBe(second);
  });

  it('remembers a bounded number of clients', () => {
    const { pick } = picker(10_000);
    for (let i = 0; i < 70_000; i++) pick(`client-${i}`);
    // The first of them was forgotten, so it may be sent elsewhere; a recent one was not.
    const turns = new Set(Array.from({ length: 3 }, (_, i) => pick(`client-${i}`)));
    expect(turns.size).toBe(3);
    expect(pick('client-69999')).toBe(pick('client-69999'));
  });
});
