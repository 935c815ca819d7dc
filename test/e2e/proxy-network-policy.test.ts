import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { KubeObject } from '../../src/api/types.ts';
import { NamespaceProcess } from '../support/network/namespace-process.ts';
import {
  ADDRESSES,
  type Answer,
  CLIENT_IP,
  NetworkWorld,
  type Place,
} from '../support/network/network-world.ts';
import {
  policyFor as policy,
  policyNamespace,
  policyPods,
} from '../support/network/policy-scenarios.ts';

const { pod1, pod2, pod4 } = ADDRESSES;

const MODES = {
  nftables: {
    dump: ['nft', 'list', 'tables', 'inet'],
    flush: ['nft', 'delete', 'table', 'inet', 'k8ts-network-policy'],
  },
  iptables: {
    dump: ['sh', '-c', 'iptables-save -t mangle; ip6tables-save -t mangle'],
    flush: ['sh', '-c', 'iptables -t mangle -F'],
  },
} as const;

describe.each(Object.entries(MODES))('network policies by %s', (mode, facts) => {
  const world = new NetworkWorld();
  let harness: NamespaceProcess;
  let second: NamespaceProcess;
  const apply = (...objects: KubeObject[]) => harness.ask<number>({ op: 'apply-timed', objects });

  beforeAll(async () => {
    await world.start();
    harness = new NamespaceProcess(world.ns('node'), 'policy-harness', [mode, '500']);
    second = new NamespaceProcess(world.ns('pod1'), 'echo-server', ['pod1', '9090']);
    await Promise.all([harness.whenReady(), second.whenReady()]);
    await harness.ask({ op: 'apply', objects: policyPods() });
  });
  afterAll(async () => {
    await Promise.all([harness?.stop(), second?.stop('SIGKILL')]);
    await world.stop();
  });
  beforeEach(() => apply(policy({ ingress: [{}] })));

  const first = ([answer]: Answer[]): string => answer?.name ?? 'blocked';
  const reach = async (from: Place, host: string = pod1.ip, port = 8080) =>
    first(await world.tcp(from, host, port));

  it('lets everything through that no policy holds back', async () => {
    await harness.ask({ op: 'delete', objects: [policy({})] });
    for (const place of ['node', 'pod2', 'client', 'node-b'] as const) {
      expect(await reach(place), place).toBe('pod1');
    }
    expect(await world.onNode(...facts.dump)).not.toMatch(/k8ts/i);
  });

  it('isolates for ingress: only the Pod itself and its node get in, within a second', async () => {
    expect(await apply(policy({}))).toBeLessThan(1000);
    expect(await reach('pod2')).toBe('blocked');
    expect(await reach('client')).toBe('blocked');
    expect(await reach('node-b')).toBe('blocked');
    expect(await reach('pod2', pod1.ip6)).toBe('blocked');
    expect(await reach('node')).toBe('pod1');
    expect(await reach('pod1')).toBe('pod1');
    expect(await reach('pod1', pod2.ip), 'outwards').toBe('pod2');
    expect(await reach('client', pod2.ip), 'to others').toBe('pod2');
  });

  it('lets in whom a podSelector names, by both families', async () => {
    await apply(
      policy({ ingress: [{ from: [{ podSelector: { matchLabels: { app: 'pod2' } } }] }] }),
    );
    expect(await reach('pod2')).toBe('pod1');
    expect(await reach('pod2', pod1.ip6)).toBe('pod1');
    expect(await reach('client')).toBe('blocked');
  });

  it('lets in whom a namespaceSelector names, and follows labels', async () => {
    await apply(
      policy({ ingress: [{ from: [{ namespaceSelector: { matchLabels: { team: 'none' } } }] }] }),
    );
    expect(await reach('pod2')).toBe('blocked');
    await apply(policyNamespace('default', 'none'));
    expect(await reach('pod2')).toBe('pod1');
    await apply(policyNamespace('default'));
    expect(await reach('pod2')).toBe('blocked');
  });

  it('lets in an ipBlock, except for a part of it', async () => {
    const block = (except: string[]) =>
      policy({ ingress: [{ from: [{ ipBlock: { cidr: '192.0.2.0/24', except } }] }] });
    await apply(block([]));
    expect(await reach('client')).toBe('pod1');
    expect(await reach('pod2')).toBe('blocked');
    await apply(block([`${CLIENT_IP}/32`]));
    expect(await reach('client')).toBe('blocked');
  });

  it.each<[string, object, boolean]>([
    ['a number', { port: 9090 }, true],
    ['a range', { port: 9000, endPort: 9100 }, true],
    ['a name', { port: 'more' }, true],
    ['another protocol', { port: 9090, protocol: 'UDP' }, false],
  ])('lets in by port: %s', async (_what, port, open) => {
    await apply(policy({ ingress: [{ ports: [port] }] }));
    expect(await reach('client', pod1.ip, 9090)).toBe(open ? 'pod1' : 'blocked');
    expect(await reach('client')).toBe('blocked');
  });

  it('holds datagrams back as well', async () => {
    const ask = async () =>
      first(await world.probe('client', { op: 'udp', host: pod1.ip, port: 8080, timeoutMs: 400 }));
    await apply(policy({ ingress: [{ ports: [{ port: 8080, protocol: 'UDP' }] }] }));
    expect(await ask()).toBe('pod1');
    expect(await reach('client')).toBe('blocked');
    await apply(policy({ ingress: [{ ports: [{ port: 8080 }] }] }));
    expect(await ask()).toBe('blocked');
    expect(await reach('client')).toBe('pod1');
  });

  it('isolates for egress, all but what is allowed', async () => {
    const policyTypes = ['Egress'];
    await apply(policy({ policyTypes }));
    expect(await reach('pod1', pod2.ip)).toBe('blocked');
    expect(await reach('pod1', pod4.ip)).toBe('blocked');
    expect(await reach('pod1'), 'itself').toBe('pod1');
    expect(await reach('client'), 'inwards').toBe('pod1');
    const to = [{ namespaceSelector: { matchLabels: { team: 'other' } } }];
    await apply(policy({ policyTypes, egress: [{ to, ports: [{ port: 'echo' }] }] }));
    expect(await reach('pod1', pod4.ip)).toBe('pod4');
    expect(await reach('pod1', pod2.ip)).toBe('blocked');
  });

  it('keeps connections that were there before, in both directions', async () => {
    const inwards = await world.probe<Answer>('client', { op: 'hold', host: pod1.ip, port: 8080 });
    const outwards = await world.probe<Answer>('pod1', { op: 'hold', host: pod2.ip, port: 8080 });
    await apply(policy({ policyTypes: ['Ingress', 'Egress'] }));
    expect(await reach('client')).toBe('blocked');
    expect(await reach('pod1', pod2.ip)).toBe('blocked');
    const talk = (from: Place, { handle = 0 }: Answer) =>
      world.probe<Answer>(from, { op: 'talk', handle, timeoutMs: 1000 });
    expect(await talk('client', inwards)).toMatchObject({ name: 'pod1' });
    expect(await talk('pod1', outwards)).toMatchObject({ name: 'pod2' });
  });

  it('writes its rules again when somebody has removed them', async () => {
    await apply(policy({}));
    await world.onNode(...facts.flush);
    const deadline = Date.now() + 10_000;
    while ((await reach('client')) !== 'blocked') expect(Date.now()).toBeLessThan(deadline);
  });

  it('leaves nothing behind', async () => {
    await apply(policy({}));
    expect(await world.onNode(...facts.dump)).toMatch(/k8ts/i);
    await harness.ask({ op: 'cleanup', objects: [] });
    expect(await world.onNode(...facts.dump)).not.toMatch(/k8ts/i);
    expect(await reach('client')).toBe('pod1');
  });
});
