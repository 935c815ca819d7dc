import { describe, expect, it } from 'vitest';
import { changeInput, cleanupInput, fullInput, parseSave } from '../iptables-input.ts';
import { byId, EMPTY, LB, LOCAL_ONLY, NODE_IPS, PACKETS, WEB } from '../packets.fake.ts';
import { servicePort } from '../service-port.fake.ts';
import { isServiceChain } from './chains.ts';
import { type TracerFacts, tracePacket } from './packet-tracer.fake.ts';
import { isOurs, JUMPS, Ruleset, type RulesetOptions } from './ruleset.ts';

const OPTIONS: RulesetOptions = {
  family: 4,
  mark: '0x4000',
  masqueradeAll: false,
  localTraffic: { by: 'cidr', cidrs: ['10.244.0.0/16'] },
  nodeIP: '192.0.2.1',
  randomFully: true,
  localhostNodePorts: true,
  nodePortIPs: undefined,
  tcpLiberal: false,
};

describe('Ruleset', () => {
  it('renders a whole node as upstream does', async () => {
    const ruleset = new Ruleset(OPTIONS);
    ruleset.update(byId(WEB, LB, EMPTY, LOCAL_ONLY));
    const text = fullInput({ chains: ruleset.all(), jumps: JUMPS }, {});
    await expect(text).toMatchFileSnapshot('golden/node.iptables');
  });

  it('writes only the chains of the service whose endpoints changed', async () => {
    const ruleset = new Ruleset(OPTIONS);
    ruleset.update(byId(WEB, LB));
    const web = servicePort({ endpoints: ['10.244.1.2:8080', '10.244.1.3:8080'] });
    const { write, remove } = ruleset.update(byId(web, LB));
    await expect(changeInput(write, remove)).toMatchFileSnapshot('golden/one-change.iptables');
  });

  it('has nothing to write when nothing changed', () => {
    const ruleset = new Ruleset(OPTIONS);
    ruleset.update(byId(WEB, LB));
    expect(ruleset.update(byId(WEB, LB))).toEqual({ write: new Map(), remove: [] });
  });

  it('comes to the same rules by steps as at once', () => {
    const steps = new Ruleset(OPTIONS);
    steps.update(byId(WEB));
    steps.update(byId(WEB, EMPTY, LB));
    steps.update(byId(EMPTY, LB));
    const once = new Ruleset(OPTIONS);
    once.update(byId(EMPTY, LB));
    expect(steps.all()).toEqual(once.all());
  });
});

describe('fullInput', () => {
  it('inserts no jump that is there, and deletes chains of services that are gone', () => {
    const ruleset = new Ruleset(OPTIONS);
    ruleset.update(byId(WEB));
    const jumps = JUMPS.filter(({ table }) => table === 'nat');
    const saved = parseSave(
      ['*nat', ':KUBE-SVC-OLDOLDOLDOLDOLDO - [0:0]', ':CNI-HOSTPORT - [0:0]']
        .concat(jumps.map(({ from, rule }) => `-A ${from} ${rule}`))
        .join('\n'),
    );
    const text = fullInput({ chains: ruleset.all(), jumps: JUMPS }, saved, isServiceChain);
    const nat = text.slice(text.indexOf('*nat'));
    expect(nat).not.toMatch(/^-I/m);
    expect(nat).toContain('-X KUBE-SVC-OLDOLDOLDOLDOLDO');
    expect(text).not.toContain('CNI-HOSTPORT');
  });
});

describe('cleanupInput', () => {
  it('takes away our chains and the rules that lead to them, and nothing else', () => {
    const save = [
      '*nat',
      ':PREROUTING ACCEPT [0:0]',
      ':DOCKER - [0:0]',
      ':KUBE-SERVICES - [0:0]',
      ':KUBE-SEP-AAAAAAAAAAAAAAAA - [0:0]',
      '-A PREROUTING -m comment --comment "kubernetes service portals" -j KUBE-SERVICES',
      '-A PREROUTING -j DOCKER',
      'COMMIT',
      '*filter',
      ':DOCKER - [0:0]',
      'COMMIT',
    ].join('\n');
    expect(cleanupInput(parseSave(save), isOurs)).toBe(
      [
        '*nat',
        ':KUBE-SERVICES - [0:0]',
        ':KUBE-SEP-AAAAAAAAAAAAAAAA - [0:0]',
        '-D PREROUTING -m comment --comment "kubernetes service portals" -j KUBE-SERVICES',
        '-X KUBE-SERVICES',
        '-X KUBE-SEP-AAAAAAAAAAAAAAAA',
        'COMMIT',
        '',
      ].join('\n'),
    );
  });

  it('has nothing to do on a node that no proxy touched', () => {
    expect(cleanupInput(parseSave('*nat\n:PREROUTING ACCEPT [0:0]\nCOMMIT\n'), isOurs)).toBe('');
  });
});

describe('packets', () => {
  const ruleset = new Ruleset(OPTIONS);
  ruleset.update(byId(WEB, LB, EMPTY, LOCAL_ONLY));
  const jumps = new Map<string, string[]>();
  for (const { table, from, rule } of JUMPS) {
    const key = `${table} ${from}`;
    jumps.set(key, [rule, ...(jumps.get(key) ?? [])]);
  }
  const facts: TracerFacts = { nodeIPs: NODE_IPS, jumps };
  const chains = ruleset.all();

  it.each(PACKETS)('%s', (_name, packet, fate) => {
    expect(tracePacket(chains, packet, facts)).toMatchObject(fate);
  });
});
