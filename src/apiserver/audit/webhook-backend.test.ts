import { describe, expect, it } from 'vitest';
import { FakeClock } from '../../util/clock.fake.ts';
import { silent } from '../../util/log.ts';
import { AuditWebhook } from './webhook-backend.ts';

interface Batch {
  readonly kind: string;
  readonly apiVersion: string;
  readonly items: { readonly n: number }[];
}

/** A webhook that fails as often as `failures` says. */
function webhook(failures = 0, batches?: object) {
  const clock = new FakeClock();
  const sent: Batch[] = [];
  let tries = 0;
  const send = async (body: object) => {
    tries++;
    if (tries <= failures) throw new Error('no answer');
    sent.push(body as Batch);
  };
  const options = { buffer: 10_000, size: 400, waitMs: 30_000, backoffMs: 10_000, ...batches };
  const backend = new AuditWebhook({ send, clock, log: silent }, options);
  const stop = new AbortController();
  const running = backend.run(stop.signal);
  const write = async (from: number, count: number) => {
    for (let n = from; n < from + count; n++) backend.write({ n });
    await clock.advance(0);
  };
  return { clock, sent, write, stop, running, tries: () => tries };
}

const numbers = (batch: Batch | undefined) => batch?.items.map(({ n }) => n);

describe('AuditWebhook', () => {
  it('sends what has come within half a minute at once, in order', async () => {
    const { clock, sent, write, stop, running } = webhook();
    await clock.advance(0);
    await write(0, 3);
    await clock.advance(29_000);
    await write(3, 1);
    expect(sent).toEqual([]);
    await clock.advance(1000);
    expect(sent).toHaveLength(1);
    expect(sent[0]).toMatchObject({ kind: 'EventList', apiVersion: 'audit.k8s.io/v1' });
    expect(numbers(sent[0])).toEqual([0, 1, 2, 3]);
    stop.abort();
    await running;
  });

  it('sends a full batch without waiting', async () => {
    const { clock, sent, write, stop, running } = webhook(0, { size: 10 });
    await clock.advance(0);
    await write(0, 25);
    await clock.advance(0);
    expect(sent.map(({ items }) => items.length)).toEqual([10, 10]);
    await clock.advance(30_000);
    expect(numbers(sent[2])).toEqual([20, 21, 22, 23, 24]);
    stop.abort();
    await running;
  });

  it('tries again, at growing intervals, and gives up after four attempts', async () => {
    const { clock, sent, write, stop, running, tries } = webhook(5);
    await clock.advance(0);
    await write(0, 1);
    await clock.advance(30_000);
    expect(tries()).toBe(1);
    await clock.advance(10_000 + 15_000 + 22_500);
    expect(tries()).toBe(4);
    expect(sent).toEqual([]);
    await write(1, 1);
    await clock.advance(30_000 + 10_000);
    expect(numbers(sent[0])).toEqual([1]);
    stop.abort();
    await running;
  });

  it('drops what its buffer cannot hold, and nothing else', async () => {
    const { clock, sent, write, stop, running } = webhook(0, { buffer: 5 });
    await write(0, 8);
    await clock.advance(30_000);
    expect(numbers(sent[0])).toEqual([0, 1, 2, 3, 4]);
    stop.abort();
    await running;
  });

  it('sends what is left when it is stopped', async () => {
    const { clock, sent, write, stop, running } = webhook(0, { size: 2 });
    await clock.advance(0);
    void write(0, 3);
    stop.abort();
    await running;
    expect(sent.flatMap(({ items }) => items.map(({ n }) => n))).toEqual([0, 1, 2]);
  });
});
