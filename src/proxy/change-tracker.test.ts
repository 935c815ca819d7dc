import { describe, expect, it } from 'vitest';
import type { EndpointSlice, Service } from '../api/types.ts';
import { ChangeTracker } from './change-tracker.ts';

const NODE = { name: 'node-a', zone: 'zone-a' };
type Spec = NonNullable<Service['spec']>;

function service(spec: Partial<Spec> = {}, status: Service['status'] = undefined): Service {
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: meta('web'),
    spec: {
      clusterIP: '10.96.0.1',
      clusterIPs: ['10.96.0.1'],
      ports: [{ name: 'http', port: 80, protocol: 'TCP' }],
      ...spec,
    },
    ...(status ? { status } : {}),
  };
}

function meta(name: string, labels: Record<string, string> = {}, annotations = {}) {
  return {
    name,
    namespace: 'default',
    uid: name,
    resourceVersion: '1',
    creationTimestamp: '2026-01-01T00:00:00Z',
    labels,
    annotations,
  };
}

type Endpoint = NonNullable<EndpointSlice['endpoints']>[number];

function slice(
  endpoints: Endpoint[],
  given: Partial<EndpointSlice> = {},
  suffix = 'a',
): EndpointSlice {
  return {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: meta(`web-${suffix}`, { 'kubernetes.io/service-name': 'web' }),
    addressType: 'IPv4',
    ports: [{ name: 'http', port: 8080, protocol: 'TCP' }],
    endpoints,
    ...given,
  };
}

const at = (ip: string, more: Partial<Endpoint> = {}): Endpoint => ({ addresses: [ip], ...more });

function tracker(family: 4 | 6 = 4, allowExternalIPs = false): ChangeTracker {
  return new ChangeTracker(family, NODE, { allowExternalIPs });
}

const ID = 'default/web:http/TCP';
const addresses = (t: ChangeTracker) =>
  t
    .state()
    .services.get(ID)
    ?.endpoints.cluster.map((e) => e.address);

describe('ChangeTracker', () => {
  it('joins a Service with all of its slices, whichever comes first', () => {
    const t = tracker();
    t.setSlice(slice([at('10.0.0.2')]));
    t.setService(service());
    t.setSlice(slice([at('10.0.0.1')], {}, 'b'));
    expect(addresses(t)).toEqual(['10.0.0.1:8080', '10.0.0.2:8080']);
  });

  it('keeps the object of a service port that did not change, and makes a new one when it did', () => {
    const t = tracker();
    t.setService(service());
    t.setSlice(slice([at('10.0.0.1')]));
    const before = t.state().services.get(ID);
    t.setService({ ...service(), metadata: meta('web', { new: 'label' }) });
    expect(t.state().services.get(ID)).toBe(before);
    t.setSlice(slice([at('10.0.0.9')]));
    expect(t.state().services.get(ID)).not.toBe(before);
  });

  it('names the service ports that are not what they were in the last state, and no others', () => {
    const t = tracker();
    const changed = () => [...(t.state().changed ?? [])];
    const other = { name: 'other', port: 81 };
    t.setService(service({ ports: [{ name: 'http', port: 80, protocol: 'TCP' }, other] }));
    expect(changed()).toEqual([ID, 'default/web:other/TCP']);
    t.setSlice(slice([at('10.0.0.1')]));
    expect(changed()).toEqual([ID]);
    t.setSlice(slice([at('10.0.0.1')]));
    expect(changed()).toEqual([]);
    t.setService(service());
    expect(changed()).toEqual(['default/web:other/TCP']);
    t.deleteService(service());
    t.setService(service());
    expect(changed()).toEqual([]);
    t.deleteService(service());
    expect(changed()).toEqual([ID]);
  });

  it('forgets a Service, a port and a slice that are gone', () => {
    const t = tracker();
    t.setService(service());
    t.setSlice(slice([at('10.0.0.1')]));
    t.setSlice(slice([at('10.0.0.2')], {}, 'b'));
    t.state();
    t.deleteSlice(slice([], {}, 'a'));
    expect(addresses(t)).toEqual(['10.0.0.2:8080']);
    t.setService(service({ ports: [{ name: 'other', port: 81 }] }));
    expect([...t.state().services.keys()]).toEqual(['default/web:other/TCP']);
    t.deleteService(service());
    expect(t.state().services.size).toBe(0);
  });

  it.each<[string, Partial<Spec>]>([
    ['headless', { clusterIP: 'None', clusterIPs: ['None'] }],
    ['ExternalName', { type: 'ExternalName', externalName: 'example.com' }],
    ['not yet allocated', { clusterIP: '', clusterIPs: [] }],
    ['of the other family', { clusterIP: 'fd00::1', clusterIPs: ['fd00::1'] }],
    ['without ports', { ports: [] }],
  ])('routes nothing for a Service that is %s', (_name, spec) => {
    const t = tracker();
    t.setService(service(spec));
    expect(t.state().services.size).toBe(0);
  });

  it('takes each family from a dual-stack Service', () => {
    const spec = { clusterIPs: ['10.96.0.1', 'fd00::1'] };
    for (const [family, ip] of [
      [4, '10.96.0.1'],
      [6, 'fd00::1'],
    ] as const) {
      const t = tracker(family);
      t.setService(service(spec));
      expect(t.state().services.get(ID)?.clusterIP).toBe(ip);
    }
  });

  it('honours external IPs only when they are allowed', () => {
    for (const allowed of [false, true]) {
      const t = tracker(4, allowed);
      t.setService(service({ externalIPs: ['192.0.2.7', 'fd00::7'] }));
      expect(t.state().services.get(ID)?.externalIPs).toEqual(allowed ? ['192.0.2.7'] : []);
    }
  });

  it('leaves out load balancers that forward to node ports themselves (ipMode Proxy)', () => {
    const t = tracker();
    const ingress = [
      { ip: '192.0.2.1', ipMode: 'Proxy' },
      { ip: '192.0.2.2', ipMode: 'VIP' },
      { ip: '192.0.2.3' },
    ];
    t.setService(service({ type: 'LoadBalancer' }, { loadBalancer: { ingress } }));
    expect(t.state().services.get(ID)?.loadBalancerIPs).toEqual(['192.0.2.2', '192.0.2.3']);
  });

  it('sends to terminating endpoints that serve only while none is ready', () => {
    const t = tracker();
    const going = { conditions: { ready: false, serving: true, terminating: true } };
    t.setService(service());
    t.setSlice(slice([at('10.0.0.1', going), at('10.0.0.2')]));
    expect(addresses(t)).toEqual(['10.0.0.2:8080']);
    t.setSlice(slice([at('10.0.0.1', going)]));
    expect(addresses(t)).toEqual(['10.0.0.1:8080']);
  });

  it('counts an address that two slices name once, the readier one', () => {
    const t = tracker();
    t.setService(service());
    t.setSlice(slice([at('10.0.0.1', { conditions: { ready: false, serving: false } })]));
    t.setSlice(slice([at('10.0.0.1', { conditions: { ready: true } })], {}, 'b'));
    expect(addresses(t)).toEqual(['10.0.0.1:8080']);
  });

  it('prefers endpoints hinted for this node, then for this zone, if all carry hints', () => {
    const t = tracker();
    t.setService(service());
    const forNode = (name: string) => ({
      hints: { forNodes: [{ name }], forZones: [{ name: 'zone-a' }] },
    });
    t.setSlice(slice([at('10.0.0.1', forNode('node-a')), at('10.0.0.2', forNode('node-b'))]));
    expect(addresses(t)).toEqual(['10.0.0.1:8080']);
    const forZone = (name: string) => ({ hints: { forZones: [{ name }] } });
    t.setSlice(slice([at('10.0.0.1', forZone('zone-b')), at('10.0.0.2', forZone('zone-a'))]));
    expect(addresses(t)).toEqual(['10.0.0.2:8080']);
    t.setNode({ name: 'node-a', zone: 'zone-b' });
    expect(addresses(t)).toEqual(['10.0.0.1:8080']);
    t.setSlice(slice([at('10.0.0.1', forZone('zone-b')), at('10.0.0.2')]));
    expect(addresses(t)).toEqual(['10.0.0.1:8080', '10.0.0.2:8080']);
  });

  it('tells Local from Cluster endpoints', () => {
    const t = tracker();
    t.setService(service({ internalTrafficPolicy: 'Local' }));
    t.setSlice(
      slice([at('10.0.0.1', { nodeName: 'node-a' }), at('10.0.0.2', { nodeName: 'node-b' })]),
    );
    const { endpoints, localReady } = t.state().services.get(ID) ?? {};
    expect(endpoints?.reachable.map((e) => e.ip)).toEqual(['10.0.0.1']);
    expect(localReady).toBe(1);
    t.setSlice(slice([at('10.0.0.2', { nodeName: 'node-b' })]));
    expect(t.state().services.get(ID)?.endpoints).toMatchObject({ reachable: [], any: true });
  });

  it('ignores slices of headless services, of foreign services and of names', () => {
    const t = tracker();
    t.setService(service());
    t.setSlice(slice([at('10.0.0.1')], { metadata: meta('x') }));
    t.setSlice(slice([at('host.example')], { addressType: 'FQDN' }));
    const headless = { 'kubernetes.io/service-name': 'web', 'service.kubernetes.io/headless': '' };
    t.setSlice(slice([at('10.0.0.3')], { metadata: meta('y', headless) }));
    expect(addresses(t)).toEqual([]);
  });

  it('takes slices of a thousand endpoints', () => {
    const t = tracker();
    t.setService(service());
    t.setSlice(slice(Array.from({ length: 1000 }, (_, i) => at(`10.1.${i >> 8}.${i & 255}`))));
    expect(addresses(t)).toHaveLength(1000);
  });

  it('hands out the times of changes once', () => {
    const t = tracker();
    const key = 'endpoints.kubernetes.io/last-change-trigger-time';
    const labels = { 'kubernetes.io/service-name': 'web' };
    t.setSlice(slice([], { metadata: meta('z', labels, { [key]: '2026-01-01T00:00:05Z' }) }));
    expect(t.takeTriggerTimes()).toEqual([Date.parse('2026-01-01T00:00:05Z')]);
    expect(t.takeTriggerTimes()).toEqual([]);
  });
});
