import { describe, expect, it, vi } from 'vitest';
import { CONFIG_MAPS, keyString, type ObjectKey } from '../api/resource-types.ts';
import { FakeClock } from '../util/clock.fake.ts';
import { silent } from '../util/log.ts';
import { FakeClient } from './client.fake.ts';
import { Controller, DONE, type Result, TerminalError } from './controller.ts';
import { createInformer } from './informer.ts';

function controllerOf(reconcile: (key: ObjectKey) => Promise<Result>, workers = 1) {
  const clock = new FakeClock();
  const reconciler = { name: 'test', reconcile };
  const controller = new Controller({ reconciler, log: silent }, { clock, workers });
  return { controller, clock };
}

describe('Controller', () => {
  it('reconciles the key of each object that its informers tell of', async () => {
    const client = new FakeClient();
    client.seed(CONFIG_MAPS, {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: 'a', namespace: 'x' },
    });
    const keys: string[] = [];
    const { controller } = controllerOf(async (key) => {
      keys.push(keyString(key));
      return DONE;
    });
    const informer = createInformer(client, CONFIG_MAPS);
    controller.watch(informer);
    const stop = new AbortController();
    const running = Promise.all([informer.run(stop.signal), controller.run(stop.signal)]);
    await vi.waitFor(() => expect(keys).toEqual(['x/a']), 30_000);
    stop.abort();
    await running;
  });

  it('tries a failed key again with back-off, and a terminal failure never', async () => {
    const tries: Record<string, number> = {};
    const { controller, clock } = controllerOf(async ({ name }) => {
      tries[name] = (tries[name] ?? 0) + 1;
      if (name === 'bad') throw new TerminalError('never');
      if ((tries[name] ?? 0) < 3) throw new Error('not yet');
      return DONE;
    });
    const stop = new AbortController();
    const running = controller.run(stop.signal);
    controller.enqueue('bad');
    controller.enqueue('slow');
    await clock.advance(4);
    expect(tries).toEqual({ bad: 1, slow: 1 });
    await clock.advance(60_000);
    expect(tries).toEqual({ bad: 1, slow: 3 });
    stop.abort();
    await running;
  });

  it('looks again when a reconcile asks for it', async () => {
    let runs = 0;
    const { controller, clock } = controllerOf(async () => {
      runs++;
      return { requeueAfterMs: 1000 };
    });
    const stop = new AbortController();
    const running = controller.run(stop.signal);
    controller.enqueue('a');
    await clock.advance(0);
    await clock.advance(3000);
    expect(runs).toBe(4);
    stop.abort();
    await running;
  });
});
