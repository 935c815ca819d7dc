import { describe, expect, it } from 'vitest';
import { Controller, DONE } from '../client/controller.ts';
import { FakeClock } from '../util/clock.fake.ts';
import { silent } from '../util/log.ts';
import { Metrics } from '../util/metrics.ts';
import { managerMetrics } from './metrics.ts';

describe('metrics of controllers', () => {
  it('tell of keys that come, wait, are worked on and fail, and how many wait now', async () => {
    const metrics = new Metrics();
    const observer = managerMetrics(metrics).controllers;
    const clock = new FakeClock();
    let fails = true;
    const reconciler = {
      name: 'x',
      async reconcile() {
        if (fails) throw new Error('once');
        return DONE;
      },
    };
    const controller = new Controller({ reconciler, log: silent }, { clock, observer });
    controller.enqueue('a/b');
    controller.enqueue('a/c');
    expect(await metrics.render()).toContain('workqueue_depth{name="x"} 2');
    const stop = new AbortController();
    const running = controller.run(stop.signal);
    await clock.advance(0);
    fails = false;
    await clock.advance(10);
    const text = await metrics.render();
    for (const line of [
      'workqueue_depth{name="x"} 0',
      'workqueue_adds_total{name="x"} 4',
      'workqueue_retries_total{name="x"} 2',
      'workqueue_queue_duration_seconds_count{name="x"} 4',
      'workqueue_work_duration_seconds_count{name="x"} 4',
    ]) {
      expect(text).toContain(line);
    }
    stop.abort();
    await running;
  });
});
