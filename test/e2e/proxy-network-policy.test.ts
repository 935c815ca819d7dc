import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { KubeObject } from '../../src/api/types.ts';
import { eventually, PATIENCE_MS, patiently } from '../support/network/answers.ts';
import { NamespaceProcess } from '../support/network/namespace-process.ts';
import {
  ADDRESSES,
  type Answer,
  CLIENT_IP,
  NetworkWorld,
  type Place,
  TIMEOUT_MS,
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
  const isBlocked = async (from: Place, host: string = pod1.ip, port = 8080) =>
    expect(first(await world.tcp(from, host, port)), `${from} to ${host}:${port}`).toBe('blocked');
  /** What is let through has all the time that a slow machine may need. */
  const reaches = async (from: Place, name = 'pod1', host: string = pod1.ip, port = 8080) =>
    expect(first(await patiently(world, from, [host, port])), `${from} to ${host}`).toBe(name);

  it('lets everything through that no policy holds back', async () => {
    await harness.ask({ op: 'delete', objects: [policy({})] });
    for (const place of ['node', 'pod2', 'client', 'node-b'] as const) {
      await reaches(place);
    }
    expect(await world.onNode(...facts.dump)).not.toMatch(/k8ts/i);
  });

  it('isolates for ingress: only the Pod itself and its node get in, within a second', async () => {
    const took: number[] = [];
    for (let round = 0; round < 3; round++) {
      await apply(policy({ ingress: [{}] }));
      took.push(await apply(policy({})));
    }
    // A machine may be busy with other things for a while, but not each time.
    expect(Math.min(...took), String(took)).toBeLessThan(1000);
    await isBlocked('pod2');
    await isBlocked('client');
    await isBlocked('node-b');
    await isBlocked('pod2', pod1.ip6);
    await reaches('node');
    await reaches('pod1');
    await reaches('pod1', 'pod2', pod2.ip);
    await reaches('client', 'pod2', pod2.ip);
  });

  it('lets in whom a podSelector names, by both families', async () => {
    await apply(
      policy({ ingress: [{ from: [{ podSelector: { matchLabels: { app: 'pod2' } } }] }] }),
    );
    await reaches('pod2');
    await reaches('pod2', 'pod1', pod1.ip6);
    await isBlocked('client');
  });

  it('lets in whom a namespaceSelector names, and follows labels', async () => {
    await apply(
      policy({ ingress: [{ from: [{ namespaceSelector: { matchLabels: { team: 'none' } } }] }] }),
    );
    await isBlocked('pod2');
    await apply(policyNamespace('default', 'none'));
    await reaches('pod2');
    await apply(policyNamespace('default'));
    await isBlocked('pod2');
  });

  it('lets in an ipBlock, except for a part of it', async () => {
    const block = (except: string[]) =>
      policy({ ingress: [{ from: [{ ipBlock: { cidr: '192.0.2.0/24', except } }] }] });
    await apply(block([]));
    await reaches('client');
    await isBlocked('pod2');
    await apply(block([`${CLIENT_IP}/32`]));
    await isBlocked('client');
  });

  it.each<[string, object, boolean]>([
    ['a number', { port: 9090 }, true],
    ['a range', { port: 9000, endPort: 9100 }, true],
    ['a name', { port: 'more' }, true],
    ['another protocol', { port: 9090, protocol: 'UDP' }, false],
  ])('lets in by port: %s', async (_what, port, open) => {
    await apply(policy({ ingress: [{ ports: [port] }] }));
    if (open) await reaches('client', 'pod1', pod1.ip, 9090);
    else await isBlocked('client', pod1.ip, 9090);
    await isBlocked('client');
  });

  it('holds datagrams back as well', async () => {
    const ask = async (timeoutMs = TIMEOUT_MS) =>
      first(await world.probe('client', { op: 'udp', host: pod1.ip, port: 8080, timeoutMs }));
    await apply(policy({ ingress: [{ ports: [{ port: 8080, protocol: 'UDP' }] }] }));
    expect(await ask(PATIENCE_MS)).toBe('pod1');
    await isBlocked('client');
    await apply(policy({ ingress: [{ ports: [{ port: 8080 }] }] }));
    expect(await ask()).toBe('blocked');
    await reaches('client');
  });

  it('isolates for egress, all but what is allowed', async () => {
    const policyTypes = ['Egress'];
    await apply(policy({ policyTypes }));
    await isBlocked('pod1', pod2.ip);
    await isBlocked('pod1', pod4.ip);
    await reaches('pod1');
    await reaches('client');
    const to = [{ namespaceSelector: { matchLabels: { team: 'other' } } }];
    await apply(policy({ policyTypes, egress: [{ to, ports: [{ port: 'echo' }] }] }));
    await reaches('pod1', 'pod4', pod4.ip);
    await isBlocked('pod1', pod2.ip);
  });

  it('keeps connections that were there before, in both directions', async () => {
    const inwards = await world.probe<Answer>('client', {
      op: 'hold',
      host: pod1.ip,
      port: 8080,
      timeoutMs: PATIENCE_MS,
    });
    const outwards = await world.probe<Answer>('pod1', {
      op: 'hold',
      host: pod2.ip,
      port: 8080,
      timeoutMs: PATIENCE_MS,
    });
    await apply(policy({ policyTypes: ['Ingress', 'Egress'] }));
    await isBlocked('client');
    await isBlocked('pod1', pod2.ip);
    const talk = (from: Place, { handle = 0 }: Answer) =>
      world.probe<Answer>(from, { op: 'talk', handle, timeoutMs: PATIENCE_MS });
    expect(await talk('client', inwards)).toMatchObject({ name: 'pod1' });
    expect(await talk('pod1', outwards)).toMatchObject({ name: 'pod2' });
  });

  it('writes its rules again when somebody has removed them', async () => {
    await apply(policy({}));
    await world.onNode(...facts.flush);
    await eventually(() => isBlocked('client'));
  });

  it('leaves nothing behind', async () => {
    await apply(policy({}));
    expect(await world.onNode(...facts.dump)).toMatch(/k8ts/i);
    await harness.ask({ op: 'cleanup', objects: [] });
    expect(await world.onNode(...facts.dump)).not.toMatch(/k8ts/i);
    await reaches('client');
  });
});
