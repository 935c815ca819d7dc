import { describe, expect, it } from 'vitest';
import { healthAnswer } from './health.ts';
import { HealthMetrics } from './health-metrics.ts';

describe('HealthMetrics', () => {
  it('shows what checks found last, and how often', async () => {
    const metrics = new HealthMetrics();
    let isWell = false;
    const loop = () => {
      if (!isWell) throw new Error('late');
    };
    const checks = metrics.kept('healthz', [
      { name: 'ping', check: () => {} },
      { name: 'loop', check: loop },
    ]);
    const ask = () => healthAnswer('healthz', checks, new URLSearchParams());
    expect((await ask()).code).toBe(500);
    expect(await metrics.render()).toContain(
      'kubernetes_healthcheck{name="loop",type="healthz"} 0',
    );
    isWell = true;
    expect((await ask()).code).toBe(200);
    const lines = (await metrics.render()).split('\n').filter((line) => !line.startsWith('#'));
    expect(lines.filter(Boolean).sort()).toEqual([
      'kubernetes_healthchecks_total{name="loop",status="error",type="healthz"} 1',
      'kubernetes_healthchecks_total{name="loop",status="success",type="healthz"} 1',
      'kubernetes_healthchecks_total{name="ping",status="success",type="healthz"} 2',
      'kubernetes_healthcheck{name="loop",type="healthz"} 1',
      'kubernetes_healthcheck{name="ping",type="healthz"} 1',
    ]);
  });
});
