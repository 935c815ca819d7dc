import { describe, expect, it } from 'vitest';
import type { Node } from '../api/types.ts';
import { FakeClock } from '../util/clock.fake.ts';
import { ProxyHealth } from './proxy-health.ts';

function health(node: () => Partial<Node> | undefined = () => undefined) {
  const clock = new FakeClock(0);
  return { clock, health: new ProxyHealth(clock, { timeoutMs: 1_000, node: node as () => Node }) };
}

describe('ProxyHealth', () => {
  it('is unhealthy before the first sync', () => {
    expect(health().health.livez().healthy).toBe(false);
  });

  it('is unhealthy when a change waits too long, and well again once it is written', async () => {
    const { clock, health: h } = health();
    h.updated(4);
    h.queued(4);
    await clock.advance(1_000);
    expect(h.livez().healthy).toBe(true);
    await clock.advance(1);
    expect(h.livez().healthy).toBe(false);
    h.updated(6);
    expect(h.livez().healthy).toBe(false);
    h.updated(4);
    expect(h.livez().healthy).toBe(true);
  });

  it('answers /healthz, not /livez, by whether the node is leaving', () => {
    const taints = [{ key: 'ToBeDeletedByClusterAutoscaler', effect: 'NoSchedule' }];
    const { health: h } = health(() => ({
      metadata: {} as Node['metadata'],
      spec: { taints },
    }));
    h.updated(4);
    expect(h.livez().healthy).toBe(true);
    expect(h.healthz()).toMatchObject({ healthy: false, body: { nodeEligible: false } });
  });
});
