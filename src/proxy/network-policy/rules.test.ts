import { describe, expect, it } from 'vitest';
import { policyChains, restoreInput } from './iptables-policies.ts';
import type { Isolation } from './isolation.ts';
import { nftablesInput } from './nftables-policies.ts';

const ISOLATIONS: Isolation[] = [
  {
    direction: 'Ingress',
    targets: ['10.244.0.5', 'fd00::5'],
    allowances: [
      {
        peers: ['10.244.1.6', '192.0.2.0/24', 'fd00::6'],
        ports: [{ protocol: 'TCP', from: 80, to: 90 }],
      },
      { ports: [{ protocol: 'UDP' }] },
    ],
  },
  { direction: 'Egress', targets: ['10.244.0.5'], allowances: [] },
];

describe('nftablesInput', () => {
  it('puts one whole table in place of another', () => {
    expect(nftablesInput(ISOLATIONS)).toMatchInlineSnapshot(`
      "add table inet k8ts-network-policy
      delete table inet k8ts-network-policy
      table inet k8ts-network-policy {
        chain ingress-IIZHOJFUCQBGYTZB {
          ip saddr { 10.244.1.6, 192.0.2.0/24 } tcp dport { 80-90 } accept
          ip6 saddr { fd00::6 } tcp dport { 80-90 } accept
          meta l4proto udp accept
          drop
        }
        chain egress-J5J43IMMFOVAYA2U {
          drop
        }
        chain egress {
          type filter hook forward priority filter - 2; policy accept;
          ct state established,related accept
          icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept
          ip saddr . ip daddr { 10.244.0.5 . 10.244.0.5 } accept
          ip saddr vmap { 10.244.0.5 : goto egress-J5J43IMMFOVAYA2U }
        }
        chain ingress {
          type filter hook forward priority filter - 1; policy accept;
          ct state established,related accept
          icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept
          ip saddr . ip daddr { 10.244.0.5 . 10.244.0.5 } accept
          ip daddr vmap { 10.244.0.5 : goto ingress-IIZHOJFUCQBGYTZB }
          ip6 saddr . ip6 daddr { fd00::5 . fd00::5 } accept
          ip6 daddr vmap { fd00::5 : goto ingress-IIZHOJFUCQBGYTZB }
        }
      }
      "
    `);
  });
});

describe('policyChains', () => {
  it('has one family, and a chain for each set of rules', () => {
    expect(Object.fromEntries(policyChains(ISOLATIONS, 4))).toMatchInlineSnapshot(`
      {
        "K8TS-NP": [
          "-m conntrack --ctstate RELATED,ESTABLISHED -j RETURN",
          "-j K8TS-NP-EGRESS",
          "-j K8TS-NP-INGRESS",
        ],
        "K8TS-NP-E-J5J43IMMFOVAYA": [
          "-j DROP",
        ],
        "K8TS-NP-EGRESS": [
          "-s 10.244.0.5 ! -d 10.244.0.5 -j K8TS-NP-E-J5J43IMMFOVAYA",
        ],
        "K8TS-NP-I-IIZHOJFUCQBGYT": [
          "-s 10.244.1.6 -p tcp -m multiport --dports 80:90 -j RETURN",
          "-s 192.0.2.0/24 -p tcp -m multiport --dports 80:90 -j RETURN",
          "-p udp -j RETURN",
          "-j DROP",
        ],
        "K8TS-NP-INGRESS": [
          "-d 10.244.0.5 ! -s 10.244.0.5 -j K8TS-NP-I-IIZHOJFUCQBGYT",
        ],
      }
    `);
    expect([...policyChains(ISOLATIONS, 6).keys()]).toHaveLength(4);
  });

  it('splits long lists of ports as multiport needs it', () => {
    const ports = Array.from({ length: 10 }, (_, i) => ({
      protocol: 'TCP' as const,
      from: i * 10,
      to: i * 10 + (i % 2),
    }));
    const isolation = {
      direction: 'Ingress' as const,
      targets: ['10.0.0.1'],
      allowances: [{ ports }],
    };
    const [rules] = policyChains([isolation], 4).values();
    expect(rules).toEqual([
      '-p tcp -m multiport --dports 0,10:11,20,30:31,40,50:51,60,70:71,80,90:91 -j RETURN',
      '-j DROP',
    ]);
    const more = { ...isolation, allowances: [{ ports: [...ports, ...ports] }] };
    const [split] = policyChains([more], 4).values();
    expect(split).toHaveLength(3);
  });
});

describe('restoreInput', () => {
  it('writes what changed, empties and deletes what is gone, and is silent when nothing is', () => {
    const before = new Map([
      ['SAME', ['-j A']],
      ['OTHER', ['-j B']],
      ['GONE', ['-j C']],
    ]);
    const wanted = new Map([
      ['SAME', ['-j A']],
      ['OTHER', ['-j D']],
      ['NEW', []],
    ]);
    expect(restoreInput(before, wanted)).toBe(
      ':OTHER - [0:0]\n:NEW - [0:0]\n:GONE - [0:0]\n-A OTHER -j D\n-X GONE\n',
    );
    expect(restoreInput(wanted, wanted)).toBe('');
  });
});
