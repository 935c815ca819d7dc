import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { NODES, SERVICES } from '../../api/resource-types.ts';
import type { EndpointSlice, Node, Service } from '../../api/types.ts';
import { LaggingClient } from '../lagging-client.fake.ts';
import { World } from '../world.fake.ts';
import { type PlacementFacts, placement } from './placement.ts';
import { serviceLbController } from './service-lb-controller.ts';

function node(
  name: string,
  ip: string,
  more: { ready?: string; labels?: object; external?: string } = {},
): Node {
  const addresses = [
    { type: 'InternalIP', address: ip },
    { type: 'Hostname', address: name },
  ];
  if (more.external) addresses.push({ type: 'ExternalIP', address: more.external });
  return {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { name, labels: more.labels ?? {} },
    status: { addresses, conditions: [{ type: 'Ready', status: more.ready ?? 'True' }] },
  } as unknown as Node;
}

function service(name: string, spec: object = {}, created = '2026-01-01T00:00:00Z'): Service {
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name, namespace: 'default', uid: name, creationTimestamp: created },
    spec: { type: 'LoadBalancer', ipFamilies: ['IPv4'], ports: [{ port: 80 }], ...spec },
  } as unknown as Service;
}

const NODES_ = [node('b', '192.0.2.2'), node('a', '192.0.2.1')];

function place(subject: Service, facts: Partial<PlacementFacts> = {}) {
  return placement(subject, {
    nodes: NODES_,
    slices: [],
    rivals: [subject],
    apiPorts: [6443],
    ...facts,
  });
}

describe('placement', () => {
  it.each<[string, object, Node[], string[]]>([
    ['every node', {}, NODES_, ['192.0.2.1', '192.0.2.2']],
    ['no node that is not ready', {}, [node('a', '192.0.2.1', { ready: 'Unknown' })], []],
    [
      'no node that is excluded',
      {},
      [
        node('a', '192.0.2.1', {
          labels: { 'node.kubernetes.io/exclude-from-external-load-balancers': '' },
        }),
      ],
      [],
    ],
    [
      'outer addresses before inner ones',
      {},
      [node('a', '10.0.0.1', { external: '192.0.2.9' })],
      ['192.0.2.9'],
    ],
    [
      'the families of the Service',
      { ipFamilies: ['IPv6'] },
      [...NODES_, node('c', 'fd00::3')],
      ['fd00::3'],
    ],
    ['the one address that is asked for', { loadBalancerIP: '192.0.2.2' }, NODES_, ['192.0.2.2']],
  ])('takes %s', (_what, spec, nodes, ips) => {
    expect(place(service('web', spec), { nodes })).toEqual({ ips });
  });

  it('takes only nodes with a ready endpoint where traffic must stay local', () => {
    const endpoints = [
      { addresses: ['10.244.0.5'], nodeName: 'a', conditions: { ready: true } },
      { addresses: ['10.244.1.5'], nodeName: 'b', conditions: { ready: false } },
    ];
    const slices = [{ endpoints }] as unknown as EndpointSlice[];
    const local = service('web', { externalTrafficPolicy: 'Local' });
    expect(place(local, { slices })).toEqual({ ips: ['192.0.2.1'] });
  });

  it.each<[string, object, RegExp]>([
    [
      "the API server's",
      { ports: [{ port: 6443 }] },
      /port 6443\/TCP is one that the nodes are managed by/,
    ],
    ['ssh', { ports: [{ port: 80 }, { port: 22, protocol: 'TCP' }] }, /port 22\/TCP/],
    [
      'an address of nobody',
      { loadBalancerIP: '203.0.113.1' },
      /203.0.113.1 is no address of a node/,
    ],
  ])('refuses %s', (_what, spec, expected) => {
    expect(place(service('web', spec))).toEqual({ problem: expect.stringMatching(expected) });
  });

  it('gives a port to the oldest who wants it; another protocol is another port', () => {
    const first = service('first', {}, '2026-01-01T00:00:00Z');
    const second = service('second', {}, '2026-01-01T00:00:01Z');
    const udp = service('udp', { ports: [{ port: 80, protocol: 'UDP' }] }, '2026-01-01T00:00:02Z');
    const rivals = [second, first, udp];
    expect(place(first, { rivals })).toHaveProperty('ips');
    expect(place(second, { rivals })).toEqual({
      problem: 'port 80/TCP of the nodes is taken by Service default/first',
    });
    expect(place(udp, { rivals })).toHaveProperty('ips');
  });

  it('leaves a port to the Service that answers there, whoever else is as old', () => {
    const ingress = [{ ip: '192.0.2.1' }];
    const holder = { ...service('holder'), status: { loadBalancer: { ingress } } } as Service;
    const newcomer = service('a-smaller-uid');
    const rivals = [newcomer, holder];
    expect(place(holder, { rivals })).toHaveProperty('ips');
    expect(place(newcomer, { rivals })).toEqual({
      problem: 'port 80/TCP of the nodes is taken by Service default/holder',
    });
  });
});

describe('service load balancer', () => {
  let world: World;
  beforeEach(() => {
    world = new World();
    world.client.seed(NODES, node('a', '192.0.2.1'));
    world.start([serviceLbController]);
  });
  afterEach(() => world.stop());

  const stored = (name: string) => world.client.all(SERVICES).find((s) => s.metadata.name === name);
  const ips = (name: string) =>
    (stored(name)?.status?.loadBalancer?.ingress ?? []).map(({ ip }) => ip);

  it('writes the addresses, follows the nodes, and says what it does', async () => {
    await world.client.create(SERVICES, service('web'));
    await world.until(() => expect(ips('web')).toEqual(['192.0.2.1']));
    await world.client.create(NODES, node('b', '192.0.2.2'));
    await world.until(() => expect(ips('web')).toEqual(['192.0.2.1', '192.0.2.2']));
    expect(world.events.lines).toEqual([
      'Normal EnsuringLoadBalancer default/web: Ensuring load balancer',
      'Normal EnsuredLoadBalancer default/web: Ensured load balancer',
    ]);
    await world.atRest();
  });

  it('leaves a Service with a class alone', async () => {
    await world.client.create(SERVICES, service('theirs', { loadBalancerClass: 'example.com/lb' }));
    await world.client.create(SERVICES, service('ours'));
    await world.until(() => expect(ips('ours')).toHaveLength(1));
    expect(ips('theirs')).toEqual([]);
  });

  it('gives a port to the next when the first lets it go, and tells each failure once', async () => {
    await world.client.create(SERVICES, service('first'));
    await world.until(() => expect(ips('first')).toHaveLength(1));
    await world.client.create(SERVICES, service('second', {}, '2026-01-01T00:00:01Z'));
    const failures = () => world.events.lines.filter((line) => line.startsWith('Warning'));
    await world.until(() => expect(failures()).toHaveLength(1));
    expect(failures()[0]).toBe(
      'Warning SyncLoadBalancerFailed default/second: Error syncing load balancer: failed to ensure load balancer: ' +
        'port 80/TCP of the nodes is taken by Service default/first',
    );
    await world.client.delete(SERVICES, { namespace: 'default', name: 'first' });
    await world.until(() => expect(ips('second')).toEqual(['192.0.2.1']));
    expect(failures()).toHaveLength(1);
  });

  it('takes the addresses away when the Service is of another type', async () => {
    const created = await world.client.create(SERVICES, service('web'));
    await world.until(() => expect(ips('web')).toHaveLength(1));
    const { metadata } = await world.client.get(SERVICES, created.metadata);
    const { status } = stored('web') ?? {};
    await world.client.update(SERVICES, {
      ...created,
      metadata,
      status,
      spec: { ...created.spec, type: 'ClusterIP' },
    } as Service);
    await world.until(() => expect(ips('web')).toEqual([]));
  });
});

it('tells once of a Service that it looks at again before its own write has come back', async () => {
  const client = new LaggingClient((resource) => (resource === 'services' ? 300 : 0));
  const world = new World(client);
  client.seed(NODES, node('a', '192.0.2.1'));
  world.start([serviceLbController]);
  const ips = () =>
    client
      .all(SERVICES)[0]
      ?.status?.loadBalancer?.ingress?.map(({ ip }) => ip)
      .join();
  await client.create(SERVICES, service('web'));
  await world.until(() => expect(ips()).toBe('192.0.2.1'));
  await client.create(NODES, node('b', '192.0.2.2'));
  await world.until(() => expect(ips()).toBe('192.0.2.1,192.0.2.2'));
  expect(world.events.lines).toHaveLength(2);
  await world.stop();
});
