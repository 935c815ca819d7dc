import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ENDPOINT_SLICES, NODES, SERVICES } from '../api/resource-types.ts';
import { FakeClient } from '../client/client.fake.ts';
import { createInformer } from '../client/informer.ts';
import type { Conntrack, Flow } from '../host/conntrack.ts';
import { FakeClock } from '../util/clock.fake.ts';
import { silent } from '../util/log.ts';
import { FakeBackend } from './backend.fake.ts';
import { proxyMetrics } from './metrics.ts';
import { ServiceProxy } from './proxy.ts';
import { ProxyHealth } from './proxy-health.ts';
import { ServiceHealthServer } from './service-health.ts';

const SELF = { namespace: '', name: 'node-a' };
let stop = new AbortController();
let running: Promise<void> = Promise.resolve();
let clock = new FakeClock();
beforeEach(() => {
  stop = new AbortController();
  clock = new FakeClock();
});
afterEach(async () => {
  stop.abort();
  await clock.advance(0);
  await running;
});

/** A proxy before a kernel of which only the tracked flows are known. */
function start(client: FakeClient, conntrack: Conntrack, backend = new FakeBackend()): void {
  const proxy = new ServiceProxy(
    {
      services: createInformer(client, SERVICES, {}, { clock }),
      endpointSlices: createInformer(client, ENDPOINT_SLICES, {}, { clock }),
      nodes: createInformer(client, NODES, {}, { clock }),
      backends: [backend],
      conntrack,
      health: new ProxyHealth(clock, { timeoutMs: 60_000, node: () => undefined }),
      serviceHealth: new ServiceHealthServer({ log: silent, healthy: () => true }),
      metrics: proxyMetrics(),
      ...{ clock, log: silent },
    },
    { nodeName: SELF.name, allowExternalIPs: true, minSyncPeriodMs: 10, syncPeriodMs: 30_000 },
  );
  running = proxy.run(stop.signal);
}

describe('ServiceProxy', () => {
  it('writes all rules anew when its node gets addresses or ranges, and for nothing else of it', async () => {
    const client = new FakeClient();
    client.seed(NODES, { apiVersion: 'v1', kind: 'Node', metadata: { name: SELF.name } });
    const backend = new FakeBackend();
    const full: boolean[] = [];
    const sync = backend.sync.bind(backend);
    backend.sync = (state, options?: { full: boolean }) => {
      full.push(options?.full ?? false);
      return sync(state);
    };
    start(client, { udpFlows: async () => [], deleteUdpFlow: async () => {} }, backend);
    const synced = async (change: object, subresource?: string): Promise<number> => {
      const patch = { type: 'merge', body: change } as const;
      await client.patch(NODES, SELF, patch, subresource ? { subresource } : {});
      await clock.advance(100);
      return full.length;
    };
    await clock.advance(100);
    expect(full).toEqual([true]);
    expect(await synced({ spec: { podCIDRs: ['10.244.3.0/24'] } })).toBe(2);
    const addresses = [{ type: 'InternalIP', address: '192.0.2.1' }];
    expect(await synced({ status: { addresses } }, 'status')).toBe(3);
    expect(await synced({ metadata: { labels: { some: 'label' } } })).toBe(3);
    expect(full).toEqual([true, true, true]);
  });

  it('clears stale flows of UDP, again where the kernel did not answer, and each time later', async () => {
    const client = new FakeClient();
    client.seed(SERVICES, {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { namespace: 'default', name: 'dns' },
      spec: {
        ...{ clusterIP: '10.96.0.10', clusterIPs: ['10.96.0.10'] },
        ports: [{ name: 'dns', port: 53, protocol: 'UDP' }],
      },
    });
    const stale = {
      ...{ source: '10.244.0.9', sourcePort: 40_000 },
      ...{ destination: '10.96.0.10', destinationPort: 53 },
      ...{ replySource: '10.244.0.5', replySourcePort: 53 },
    };
    let asked = 0;
    const deleted: Flow[] = [];
    start(client, {
      async udpFlows() {
        if (++asked < 3) throw new Error('No buffer space available');
        return [stale];
      },
      async deleteUdpFlow(_family, flow) {
        deleted.push(flow);
      },
    });
    await clock.advance(100);
    expect([asked, deleted]).toEqual([1, []]);
    await clock.advance(2_500);
    expect([asked, deleted]).toEqual([2, []]);
    await clock.advance(1_000);
    expect([asked, deleted]).toEqual([3, [stale]]);
    await clock.advance(60_000);
    expect(asked).toBe(3);
  });
});
