import { describe, expect, it } from 'vitest';
import { byId, EMPTY, LB, LOCAL_ONLY, NODE_IPS, PACKETS, WEB } from '../packets.fake.ts';
import { servicePort } from '../service-port.fake.ts';
import type { TableOptions } from './fixed-table.ts';
import { serviceBase } from './names.ts';
import { nftablesUnfit } from './nftables-backend.ts';
import { tableOf, tracePacket } from './packet-tracer.fake.ts';
import { Ruleset } from './ruleset.ts';

const OPTIONS: TableOptions = {
  family: 4,
  mark: '0x4000',
  masqueradeAll: false,
  localTraffic: { by: 'cidr', cidrs: ['10.244.0.0/16'] },
  nodeIP: '192.0.2.1',
  nodePortIPs: ['192.0.2.1'],
};

describe('Ruleset', () => {
  it('renders a whole node as upstream does', async () => {
    const text = [...new Ruleset(OPTIONS).create(byId(WEB, LB, EMPTY))].join('\n');
    await expect(`${text}\n`).toMatchFileSnapshot('golden/node.nft');
  });

  it('touches one chain when endpoints change', () => {
    const ruleset = new Ruleset(OPTIONS);
    ruleset.update(byId(WEB, LB));
    const web = servicePort({ endpoints: ['10.244.1.2:8080', '10.244.1.3:8080'] });
    const chain = `service-${serviceBase(WEB)}`;
    expect(ruleset.update(byId(web, LB))).toEqual([
      `flush chain ip kube-proxy ${chain}`,
      `add rule ip kube-proxy ${chain} meta l4proto tcp numgen random mod 2 == 0 dnat to 10.244.1.2:8080`,
      `add rule ip kube-proxy ${chain} meta l4proto tcp dnat to 10.244.1.3:8080`,
    ]);
  });

  it('takes a map for many endpoints', () => {
    const endpoints = Array.from({ length: 17 }, (_, i) => `10.244.1.${i}:80`);
    const text = [...new Ruleset(OPTIONS).create(byId(servicePort({ endpoints })))].join('\n');
    expect(text).toMatch(/numgen random mod 17 map \{ 0 : 10.244.1.0 . 80, /);
  });

  it('has nothing to do when nothing changed', () => {
    const ruleset = new Ruleset(OPTIONS);
    ruleset.update(byId(WEB, LB));
    expect(ruleset.update(byId(WEB, LB))).toEqual([]);
  });

  it('moves a service between serving and refusing by its map entries', () => {
    const ruleset = new Ruleset(OPTIONS);
    ruleset.update(byId(WEB));
    const chain = `service-${serviceBase(WEB)}`;
    expect(ruleset.update(byId(servicePort({ endpoints: [] })))).toEqual([
      'delete element ip kube-proxy service-ips { 10.96.0.1 . tcp . 80 }',
      'delete element ip kube-proxy hairpin-connections { 10.244.0.1 . 10.244.0.1 . tcp . 8080 }',
      'add element ip kube-proxy no-endpoint-services { 10.96.0.1 . tcp . 80 : goto reject-chain }',
      `flush chain ip kube-proxy ${chain}`,
      `delete chain ip kube-proxy ${chain}`,
    ]);
  });

  it('keeps what another service still needs', () => {
    const ruleset = new Ruleset(OPTIONS);
    const twin = servicePort({ portName: 'other', port: 81, endpoints: ['10.244.0.1:8080 local'] });
    ruleset.update(byId(WEB, twin));
    const text = ruleset.update(byId(twin)).join('\n');
    expect(text).not.toContain('cluster-ips');
    expect(text).not.toContain('hairpin-connections');
  });

  it('lets the first of two services with one node port have it', () => {
    const ruleset = new Ruleset(OPTIONS);
    const a = servicePort({ service: 'a', nodePort: 30_000, endpoints: ['10.244.0.1:80'] });
    const b = servicePort({ service: 'b', nodePort: 30_000, endpoints: ['10.244.0.2:80'] });
    const adds = [...ruleset.create(byId(a, b))].filter((line) => line.includes('tcp . 30000'));
    expect(adds).toHaveLength(1);
    expect(adds[0]).toContain('/a/tcp/');
    expect(ruleset.update(byId(b)).join('\n')).toMatch(
      /add element .* tcp . 30000 : goto .*\/b\/tcp/,
    );
  });

  it('makes the table anew when a time-out of affinity changes', () => {
    const ruleset = new Ruleset(OPTIONS);
    const sticky = (affinitySeconds: number) =>
      servicePort({ affinitySeconds, endpoints: ['10.0.0.1:1'] });
    ruleset.update(byId(sticky(10)));
    const commands = ruleset.update(byId(sticky(20)));
    expect(commands[1]).toBe('delete table ip kube-proxy');
    expect(commands.join('\n')).toContain('timeout 20s');
  });
});

describe('packets', () => {
  const table = tableOf(new Ruleset(OPTIONS).create(byId(WEB, LB, EMPTY, LOCAL_ONLY)));

  it.each(PACKETS)('%s', (_name, packet, fate) => {
    expect(tracePacket(table, packet, NODE_IPS)).toMatchObject(fate);
  });

  it('another port of a cluster IP is refused', () => {
    const [, packet] = PACKETS[0] ?? [];
    if (!packet) throw new Error('No packet');
    expect(tracePacket(table, { ...packet, port: 81 }, NODE_IPS).verdict).toBe('REJECT');
  });
});

describe('nftablesUnfit', () => {
  it.each([
    ['5.12.19-generic', '1.0.6', /needs Linux 5.13 or newer, this is 5.12.19-generic/],
    ['5.13.0', '1.0.0', /needs nft 1.0.1 or newer/],
    ['6.1.0-26-amd64', '1.0.6', undefined],
  ])('judges Linux %s with nft %s', (kernel, version, reason) => {
    const answer = nftablesUnfit(kernel, version);
    if (reason) expect(answer).toMatch(reason);
    else expect(answer).toBeUndefined();
  });
});
