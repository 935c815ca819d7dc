import { describe, expect, it } from 'vitest';
import type { EndpointSlice, Service } from '../api/types.ts';
import { ChangeTracker } from './change-tracker.ts';
import { slimService, slimSlice } from './slim.ts';

const metadata = {
  name: 'web',
  namespace: 'default',
  uid: 'u',
  resourceVersion: '7',
  creationTimestamp: '2026-01-01T00:00:00Z',
};

function service(): Service {
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { ...metadata, labels: { app: 'web' }, annotations: { note: 'long' } },
    spec: {
      type: 'LoadBalancer',
      clusterIP: '10.96.0.5',
      clusterIPs: ['10.96.0.5'],
      selector: { app: 'web' },
      ports: [{ name: 'http', port: 80, protocol: 'TCP', nodePort: 30_080 }],
    },
    status: { loadBalancer: { ingress: [{ ip: '203.0.113.5' }] }, conditions: [] },
  } as unknown as Service;
}

function slice(): EndpointSlice {
  const conditions = { ready: true, serving: true, terminating: false };
  const going = { ready: false, serving: true, terminating: true };
  return {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: {
      ...metadata,
      name: 'web-1',
      labels: { 'kubernetes.io/service-name': 'web' },
      annotations: { 'endpoints.kubernetes.io/last-change-trigger-time': '2026-01-01T00:00:05Z' },
      ownerReferences: [{ apiVersion: 'v1', kind: 'Service', name: 'web', uid: 'u' }],
    },
    addressType: 'IPv4',
    ports: [{ name: 'http', port: 8080, protocol: 'TCP' }],
    endpoints: [
      {
        addresses: ['10.244.0.1'],
        conditions,
        nodeName: 'a',
        hints: { forZones: [{ name: 'z' }] },
      },
      { addresses: ['10.244.0.2'], conditions: going, nodeName: 'a', targetRef: { kind: 'Pod' } },
      { addresses: ['10.244.0.3'] },
    ],
  } as unknown as EndpointSlice;
}

function routed(of: (service: Service) => Service, and: (slice: EndpointSlice) => EndpointSlice) {
  const node = { name: 'a', zone: 'z' };
  const tracker = new ChangeTracker(4, node, { allowExternalIPs: true });
  tracker.setService(of(service()));
  tracker.setSlice(and(slice()));
  return { services: tracker.state().services, times: tracker.takeTriggerTimes() };
}

describe('slim objects', () => {
  it('are routed as the whole ones are', () => {
    const names = new Map<string, string>();
    const whole = routed(
      (object) => object,
      (object) => object,
    );
    expect(whole.services.size).toBe(1);
    expect(routed(slimService, (object) => slimSlice(object, names))).toEqual(whole);
    expect([...names.keys()]).toEqual(['a']);
  });

  it('are without what routing does not read', () => {
    expect(JSON.stringify(slimService(service()))).not.toMatch(/annotations|conditions/);
    expect(JSON.stringify(slimSlice(slice(), new Map()))).not.toMatch(/targetRef|ownerReferences/);
  });
});
