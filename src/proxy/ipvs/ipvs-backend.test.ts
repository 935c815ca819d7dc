import { describe, expect, it } from 'vitest';
import type { DummyDevice } from '../../host/dummy-device.ts';
import type { Ipset } from '../../host/ipset.ts';
import type { Iptables } from '../../host/iptables.ts';
import { type Ipvs, parseVirtualServers, type VirtualServer } from '../../host/ipvs.ts';
import { FakeClock } from '../../util/clock.fake.ts';
import { createLogger } from '../../util/log.ts';
import type { ServicePort } from '../model.ts';
import { servicePort } from '../service-port.fake.ts';
import { IpvsBackend, type IpvsOptions } from './ipvs-backend.ts';

const { signal } = new AbortController();

const OPTIONS: IpvsOptions = {
  family: 4,
  scheduler: 'rr',
  mark: '0x4000',
  masqueradeAll: false,
  randomFully: true,
  tcpLiberal: false,
  localTraffic: { by: 'cidr', cidrs: ['10.244.0.0/16'] },
  nodeIP: '192.0.2.1',
  nodePortIPs: ['192.0.2.1'],
};

/** A kernel that answers what it was set to and writes down what it was told. */
function kernel() {
  const told: string[] = [];
  const state = { servers: [] as VirtualServer[], addresses: [] as string[], saved: '' };
  const sets = new Map<string, Set<string>>();
  const note = (program: string) => (lines: readonly string[]) => {
    told.push(...lines.map((line) => `${program} ${line}`));
    return Promise.resolve();
  };
  const ipvs: Ipvs = {
    list: () => Promise.resolve(state.servers),
    services: () => Promise.resolve(new Set(state.servers.map(({ service }) => service))),
    restore: note('ipvsadm'),
    setTimeouts: () => Promise.resolve(),
  };
  const ipset: Ipset = { save: () => Promise.resolve(sets), restore: note('ipset') };
  const iptables: Iptables = {
    randomFully: true,
    nfTables: true,
    save: () => Promise.resolve(state.saved),
    restore: (input) => note('iptables')(input.trimEnd().split('\n')),
    chainExists: () => Promise.resolve(true),
  };
  const device: DummyDevice = {
    exists: () => Promise.resolve(true),
    ensure: () => Promise.resolve(),
    addresses: () => Promise.resolve(state.addresses),
    change: ({ add, remove }) =>
      note('ip')([...remove.map((ip) => `del ${ip}`), ...add.map((ip) => `add ${ip}`)]),
    remove: () => note('ip')(['link del']),
  };
  return { state, sets, told, ipvs, ipset, iptables, device };
}

function backend(options: Partial<IpvsOptions> = {}) {
  const fake = kernel();
  const clock = new FakeClock();
  const deps = { ...fake, clock, log: createLogger('test', 0) };
  const subject = new IpvsBackend(deps, () => ({ ...OPTIONS, ...options }));
  let full = true;
  const sync = async (...services: ServicePort[]) => {
    const state = {
      family: OPTIONS.family,
      services: new Map(services.map((service) => [service.id, service])),
    };
    fake.told.length = 0;
    await subject.sync(state, { full }, signal);
    full = false;
    return [...fake.told];
  };
  return { ...fake, clock, subject, sync, again: () => (full = true) };
}

const ONE = '10.244.0.1:8080 local';
const TWO = '10.244.1.2:8080';
const withoutRules = (lines: string[]) =>
  lines.filter((line) => !/^iptables|^ipset create/.test(line));

describe('IpvsBackend', () => {
  it('writes a whole node', async () => {
    const { sync } = backend();
    const told = await sync(
      servicePort({ endpoints: [ONE, TWO] }),
      servicePort({
        service: 'lb',
        clusterIP: '10.96.0.2',
        nodePort: 30_080,
        loadBalancerIPs: ['203.0.113.5'],
        externalIPs: ['203.0.113.6'],
        sourceRanges: ['198.51.100.0/24', '192.0.2.1/32', '0.0.0.0/0'],
        externalLocal: true,
        healthCheckNodePort: 31_000,
        affinitySeconds: 600,
        endpoints: [ONE, TWO],
      }),
      servicePort({ service: 'dns', clusterIP: '10.96.0.3', protocol: 'UDP', nodePort: 30_081 }),
      servicePort({ service: 's', clusterIP: '10.96.0.4', protocol: 'SCTP', nodePort: 30_082 }),
    );
    await expect(`${told.join('\n')}\n`).toMatchFileSnapshot('golden/node.ipvs');
  });

  it('changes only the destinations when endpoints change', async () => {
    const { sync } = backend();
    await sync(servicePort({ endpoints: [TWO] }));
    expect(await sync(servicePort({ endpoints: [TWO, '10.244.1.3:8080'] }))).toEqual([
      'ipvsadm -a -t 10.96.0.1:80 -r 10.244.1.3:8080 -m -w 1',
    ]);
  });

  it('lets connections of an endpoint that is gone end, then takes it out', async () => {
    const { sync, state, clock, subject, told } = backend();
    await sync(servicePort({ endpoints: [ONE, TWO] }));
    expect(await sync(servicePort({ endpoints: [ONE] }))).toEqual([
      'ipvsadm -e -t 10.96.0.1:80 -r 10.244.1.2:8080 -m -w 0',
    ]);
    const listed = (connections: number) =>
      parseVirtualServers(`TCP 10.96.0.1:80 rr\n -> 10.244.1.2:8080 Masq 0 ${connections} 0\n`);
    state.servers = listed(1);
    told.length = 0;
    await clock.advance(60_000);
    await subject.intact(signal);
    expect(told).toEqual([]);
    state.servers = listed(0);
    await clock.advance(60_000);
    await subject.intact(signal);
    await subject.intact(signal);
    expect(told).toEqual(['ipvsadm -d -t 10.96.0.1:80 -r 10.244.1.2:8080']);
  });

  it('takes an endpoint back that has not ended yet', async () => {
    const { sync } = backend();
    await sync(servicePort({ endpoints: [ONE, TWO] }));
    await sync(servicePort({ endpoints: [ONE] }));
    expect(await sync(servicePort({ endpoints: [ONE, TWO] }))).toEqual([
      'ipvsadm -e -t 10.96.0.1:80 -r 10.244.1.2:8080 -m -w 1',
    ]);
  });

  it('takes UDP endpoints out at once', async () => {
    const { sync } = backend();
    const udp = (endpoints: string[]) => servicePort({ protocol: 'UDP', endpoints });
    await sync(udp([TWO, '10.244.1.3:8080']));
    expect(await sync(udp([TWO]))).toEqual(['ipvsadm -d -u 10.96.0.1:80 -r 10.244.1.3:8080']);
  });

  it('edits a server whose affinity changes, and removes all of a service that is gone', async () => {
    const { sync } = backend();
    await sync(servicePort({ endpoints: [TWO] }));
    expect(await sync(servicePort({ endpoints: [TWO], affinitySeconds: 50 }))).toEqual([
      'ipvsadm -E -t 10.96.0.1:80 -s rr -p 50',
    ]);
    expect(await sync()).toEqual([
      'ipset del KUBE-IPVS-IPS 10.96.0.1',
      'ipset del KUBE-CLUSTER-IP 10.96.0.1,tcp:80',
      'ipvsadm -D -t 10.96.0.1:80',
      'ip del 10.96.0.1',
    ]);
  });

  it('keeps an address as long as one of several ports has it', async () => {
    const { sync } = backend();
    const other = servicePort({ portName: 'b', port: 81, endpoints: [TWO] });
    await sync(servicePort({ endpoints: [TWO] }), other);
    expect(await sync(other)).not.toContain('ip del 10.96.0.1');
  });

  it('lets the first of two services with one node port have it', async () => {
    const { sync } = backend();
    const a = servicePort({ service: 'a', nodePort: 30_000, endpoints: [ONE] });
    const b = servicePort({
      service: 'b',
      clusterIP: '10.96.0.2',
      nodePort: 30_000,
      endpoints: [TWO],
    });
    const onPort = (lines: string[]) => lines.filter((line) => line.includes('192.0.2.1:30000'));
    expect(onPort(await sync(a, b))).toEqual([
      'ipvsadm -A -t 192.0.2.1:30000 -s rr',
      'ipvsadm -a -t 192.0.2.1:30000 -r 10.244.0.1:8080 -m -w 1',
    ]);
    expect(onPort(await sync(b))).toEqual([
      'ipvsadm -a -t 192.0.2.1:30000 -r 10.244.1.2:8080 -m -w 1',
      'ipvsadm -e -t 192.0.2.1:30000 -r 10.244.0.1:8080 -m -w 0',
    ]);
  });

  it('repairs from what the kernel holds, and leaves the virtual servers of others', async () => {
    const { sync, state, sets } = backend();
    state.addresses = ['10.96.0.1', '10.96.0.9'];
    sets.set('KUBE-CLUSTER-IP', new Set(['10.96.0.1,tcp:80', '10.96.0.9,tcp:80']));
    sets.set('KUBE-NODE-PORT-TCP', new Set(['30080']));
    state.servers = parseVirtualServers(
      [
        'TCP 10.96.0.1:80 rr',
        ' -> 10.244.1.2:8080 Masq 1 0 0',
        ' -> 10.244.1.7:8080 Masq 1 0 0',
        'TCP 10.96.0.9:80 rr',
        'TCP 192.0.2.1:30080 rr',
        'TCP 198.18.0.2:80 rr',
        'TCP [fd00::1]:80 rr',
      ].join('\n'),
    );
    const told = withoutRules(await sync(servicePort({ endpoints: [TWO, ONE] })));
    expect(told.sort()).toEqual(
      [
        'ip del 10.96.0.9',
        'ipset del KUBE-CLUSTER-IP 10.96.0.9,tcp:80',
        'ipset del KUBE-NODE-PORT-TCP 30080',
        'ipset add KUBE-IPVS-IPS 10.96.0.1',
        'ipset add KUBE-LOOP-BACK 10.244.0.1,tcp:8080,10.244.0.1',
        'ipvsadm -D -t 10.96.0.9:80',
        'ipvsadm -D -t 192.0.2.1:30080',
        'ipvsadm -a -t 10.96.0.1:80 -r 10.244.0.1:8080 -m -w 1',
        'ipvsadm -e -t 10.96.0.1:80 -r 10.244.1.7:8080 -m -w 0',
      ].sort(),
    );
  });

  it('repairs a server whose address and sets somebody took', async () => {
    const { sync, state } = backend();
    state.servers = parseVirtualServers('TCP 10.96.0.1:80 rr\n -> 10.244.1.7:8080 Masq 1 0 0\n');
    const told = withoutRules(await sync(servicePort({ endpoints: [TWO] })));
    expect(told.filter((line) => !line.startsWith('ipset'))).toEqual([
      'ipvsadm -a -t 10.96.0.1:80 -r 10.244.1.2:8080 -m -w 1',
      'ipvsadm -e -t 10.96.0.1:80 -r 10.244.1.7:8080 -m -w 0',
      'ip add 10.96.0.1',
    ]);
  });

  it('sends to endpoints of this node by policy', async () => {
    const { sync } = backend();
    const internal = servicePort({ internalLocal: true, endpoints: [ONE, TWO] });
    const destinations = (lines: string[]) => lines.filter((line) => line.includes(' -a '));
    expect(destinations(await sync(internal))).toEqual([
      'ipvsadm -a -t 10.96.0.1:80 -r 10.244.0.1:8080 -m -w 1',
    ]);
    const none = servicePort({ internalLocal: true, endpoints: [TWO] });
    expect(await sync(none)).toContain('ipvsadm -e -t 10.96.0.1:80 -r 10.244.0.1:8080 -m -w 0');
  });

  it('notices that an address or a server is gone', async () => {
    const { sync, subject, state } = backend();
    await sync(servicePort({ endpoints: [TWO] }));
    expect(await subject.intact(signal)).toBe(false);
    state.addresses = ['10.96.0.1'];
    expect(await subject.intact(signal)).toBe(false);
    state.servers = parseVirtualServers('TCP 10.96.0.1:80 rr\n');
    expect(await subject.intact(signal)).toBe(true);
  });

  it('removes everything of its own on cleanup', async () => {
    const { subject, state, sets, told } = backend();
    state.addresses = ['10.96.0.1'];
    sets.set('KUBE-IPVS-IPS', new Set(['10.96.0.1']));
    sets.set('OTHERS', new Set(['1.2.3.4']));
    state.servers = parseVirtualServers('TCP 10.96.0.1:80 rr\nTCP 198.18.0.2:80 rr\n');
    state.saved =
      '*nat\n:PREROUTING ACCEPT [0:0]\n:KUBE-SERVICES - [0:0]\n:MINE - [0:0]\n-A PREROUTING -j KUBE-SERVICES\nCOMMIT\n';
    await subject.cleanup(signal);
    expect(told).toEqual([
      'iptables *nat',
      'iptables :KUBE-SERVICES - [0:0]',
      'iptables -D PREROUTING -j KUBE-SERVICES',
      'iptables -X KUBE-SERVICES',
      'iptables COMMIT',
      'ipset del KUBE-IPVS-IPS 10.96.0.1',
      'ipvsadm -D -t 10.96.0.1:80',
      'ip del 10.96.0.1',
      'ipset destroy KUBE-IPVS-IPS',
    ]);
  });
});
