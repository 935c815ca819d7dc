import { describe, expect, it } from 'vitest';
import type { Node, Pod, Service } from '../../api/types.ts';
import { portGroups } from './endpoints-of.ts';

type Spec = NonNullable<Service['spec']>;

const node = {
  metadata: { name: 'node-a', labels: { 'topology.kubernetes.io/zone': 'zone-a' } },
} as unknown as Node;

function pod(more: object = {}): Pod {
  const spec = {
    nodeName: 'node-a',
    containers: [{ name: 'web', image: 'i', ports: [{ name: 'http', containerPort: 8080 }] }],
    ...more,
  };
  const conditions = [{ type: 'Ready', status: 'True' }];
  const ips = { podIP: '10.244.0.1', podIPs: [{ ip: '10.244.0.1' }, { ip: 'fd00::1' }] };
  return {
    metadata: { namespace: 'default', name: 'web-1', uid: 'u', labels: {} },
    spec,
    status: { phase: 'Running', conditions, ...ips },
  } as unknown as Pod;
}

function service(spec: Partial<Spec>, annotations = {}): Service {
  const ports = [{ name: 'p', port: 80, protocol: 'TCP', targetPort: 'http' }];
  const metadata = { namespace: 'default', name: 'web', annotations };
  return { metadata, spec: { ports, ...spec } } as unknown as Service;
}

function endpointOf(of: Service, who: Pod = pod(), place: Node | undefined = node) {
  const [group] = portGroups(of, 'IPv4', [who], () => place);
  return { ports: group?.ports, endpoint: group?.endpoints[0] };
}

describe('portGroups', () => {
  it.each<[string, string | undefined, object | undefined]>([
    ['nothing', undefined, undefined],
    ['PreferClose', 'PreferClose', { forZones: [{ name: 'zone-a' }] }],
    ['PreferSameZone', 'PreferSameZone', { forZones: [{ name: 'zone-a' }] }],
    [
      'PreferSameNode',
      'PreferSameNode',
      { forNodes: [{ name: 'node-a' }], forZones: [{ name: 'zone-a' }] },
    ],
  ])('hints by a trafficDistribution of %s', (_what, trafficDistribution, hints) => {
    const { endpoint } = endpointOf(service({ trafficDistribution } as Partial<Spec>));
    expect(endpoint?.hints).toEqual(hints);
    expect(endpoint?.zone).toBe('zone-a');
  });

  it('has no hints where no zone is known, and none where all endpoints share zones', () => {
    const near = { trafficDistribution: 'PreferClose' } as Partial<Spec>;
    const nowhere = { metadata: { name: 'node-a' } } as unknown as Node;
    expect(endpointOf(service(near), pod(), nowhere).endpoint?.hints).toBeUndefined();
    const auto = { 'service.kubernetes.io/topology-mode': 'Auto' };
    expect(endpointOf(service(near, auto)).endpoint?.hints).toBeUndefined();
  });

  it('has the number of a named target port, of each Pod its own', () => {
    const other = pod({
      containers: [{ name: 'web', image: 'i', ports: [{ name: 'http', containerPort: 9090 }] }],
    });
    const groups = portGroups(service({}), 'IPv4', [pod(), other], () => node);
    expect(groups.map(({ ports }) => ports[0]?.port)).toEqual([8080, 9090]);
  });

  it('takes the address of each family', () => {
    const [six] = portGroups(service({}), 'IPv6', [pod()], () => node);
    expect(six?.endpoints[0]?.addresses).toEqual(['fd00::1']);
  });

  it('calls a Pod that leaves serving and terminating, and ready only where all are published', () => {
    const leaving = pod();
    leaving.metadata.deletionTimestamp = '2026-01-01T00:00:00Z';
    const conditions = { ready: false, serving: true, terminating: true };
    expect(endpointOf(service({}), leaving).endpoint?.conditions).toEqual(conditions);
    const published = service({ publishNotReadyAddresses: true });
    expect(endpointOf(published, leaving).endpoint?.conditions).toMatchObject({ ready: true });
  });
});
