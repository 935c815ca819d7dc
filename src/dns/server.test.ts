import { createSocket } from 'node:dgram';
import { connect } from 'node:net';
import dnsPacket, { type DecodedPacket, type RecordType } from 'dns-packet';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { freePort } from '../../test/support/free-port.ts';
import { fc } from '../../test/support/properties.ts';
import { ENDPOINT_SLICES, PODS, SERVICES } from '../api/resource-types.ts';
import type { EndpointSlice, Pod, Service } from '../api/types.ts';
import { FakeClient } from '../client/client.fake.ts';
import { createInformer } from '../client/informer.ts';
import { realClock } from '../util/clock.ts';
import { Autopath, addAutopathIndex } from './autopath.ts';
import { CachingForwarder } from './forwarder.ts';
import { dnsMetrics } from './metrics.ts';
import { addDnsIndexes, ClusterRecords } from './records.ts';
import { Resolver } from './resolver.ts';
import { DnsServer } from './server.ts';
import { TTL_SECONDS } from './wire.ts';

const client = new FakeClient();
const stop = new AbortController();
let port = 0;
let upstreamAsked = 0;

function service(name: string, spec: NonNullable<Service['spec']>) {
  const metadata = { name, namespace: 'default' };
  return { apiVersion: 'v1', kind: 'Service', metadata, spec };
}

function slice(name: string, endpoints: EndpointSlice['endpoints'], addressType = 'IPv4') {
  const labels = { 'kubernetes.io/service-name': name };
  return {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: { name: `${name}-${addressType.toLowerCase()}`, namespace: 'default', labels },
    addressType,
    ports: [{ name: 'http', port: 8080, protocol: 'TCP' }],
    endpoints,
  };
}

const PORTS = [{ name: 'http', port: 80, protocol: 'TCP' }, { port: 81 }];
const MANY = Array.from({ length: 40 }, (_, i) => ({ addresses: [`10.244.9.${i}`] }));

/** Stands in for the world's name servers: `up.example` exists, nothing else does. */
async function startUpstream(): Promise<number> {
  const socket = createSocket('udp4');
  socket.on('message', (message, peer) => {
    upstreamAsked++;
    const { id = 0, questions = [] } = dnsPacket.decode(message);
    const name = questions[0]?.name ?? '';
    const exists = name === 'up.example';
    const soa = { mname: 'a', rname: 'b', serial: 1, refresh: 1, retry: 1, expire: 1, minimum: 9 };
    const answer = dnsPacket.encode({
      type: 'response',
      id,
      flags: exists ? 0 : 3,
      questions,
      answers: exists ? [{ type: 'A', name, ttl: 60, data: '192.0.2.80' }] : [],
      authorities: exists ? [] : [{ type: 'SOA', name: 'example', ttl: 9, data: soa }],
    });
    socket.send(answer, peer.port, peer.address);
  });
  await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', resolve));
  stop.signal.addEventListener('abort', () => socket.close());
  return socket.address().port;
}

beforeAll(async () => {
  client.seed(
    SERVICES,
    service('web', { clusterIP: '10.96.0.5', clusterIPs: ['10.96.0.5', 'fd00::5'], ports: PORTS }),
    service('headless', { clusterIP: 'None', clusterIPs: ['None'], ports: PORTS }),
    service('many', { clusterIP: 'None', clusterIPs: ['None'], ports: PORTS }),
    service('moving', { clusterIP: 'None', clusterIPs: ['None'], ports: PORTS }),
    service('idle', { clusterIP: 'None', clusterIPs: ['None'] }),
    service('outside', { type: 'ExternalName', externalName: 'up.example' }),
  );
  client.seed(
    ENDPOINT_SLICES,
    slice('headless', [
      { addresses: ['10.244.0.7'], hostname: 'db-0' },
      { addresses: ['10.244.0.8'] },
      { addresses: ['10.244.0.9'], conditions: { ready: false } },
    ]),
    slice('headless', [{ addresses: ['fd00:1::7'], hostname: 'db-0' }], 'IPv6'),
    slice('web', [{ addresses: ['10.244.7.7'] }]),
    slice('many', MANY),
    slice('moving', [{ addresses: ['10.244.5.1'] }]),
  );
  // The asker's address is a Pod's of namespace shop.
  client.seed(PODS, {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'asker', namespace: 'shop' },
    status: { podIPs: [{ ip: '127.0.0.1' }] },
  } as unknown as Pod);
  const services = createInformer(client, SERVICES);
  const slices = createInformer(client, ENDPOINT_SLICES);
  addDnsIndexes(services, slices);
  void services.run(stop.signal);
  void slices.run(stop.signal);
  await services.whenSynced(stop.signal);
  await slices.whenSynced(stop.signal);
  const zone = 'cluster.local';
  const upstreams = [{ host: '127.0.0.1', port: await startUpstream() }];
  const forwarder = new CachingForwarder(upstreams, { clock: realClock });
  const records = new ClusterRecords(services, slices, zone);
  const pods = createInformer(client, PODS);
  addAutopathIndex(pods);
  void pods.run(stop.signal);
  await pods.whenSynced(stop.signal);
  const autopath = new Autopath(pods, zone, ['corp.example']);
  const resolver = new Resolver({ records, forwarder, zone, autopath });
  const server = new DnsServer({ resolver, metrics: dnsMetrics() });
  // For datagrams and for connections: not any that is free for one of them.
  const free = await freePort();
  port = await new Promise<number>((resolve) => {
    void server.run({ host: '127.0.0.1', port: free }, resolve, stop.signal);
  });
});
afterAll(() => stop.abort());

function exchange(message: Buffer, waitMs = 30_000): Promise<Buffer | undefined> {
  return new Promise((resolve) => {
    const socket = createSocket('udp4');
    const end = (answer?: Buffer) => {
      clearTimeout(timer);
      socket.close();
      resolve(answer);
    };
    const timer = setTimeout(end, waitMs);
    socket.on('message', (answer) => end(answer));
    socket.send(message, port, '127.0.0.1');
  });
}

/** As it goes over TCP: after its length. */
function framed(message: Buffer): Buffer {
  const length = Buffer.alloc(2);
  length.writeUInt16BE(message.length);
  return Buffer.concat([length, message]);
}

function query(name: string, type: RecordType, more: object = {}): Buffer {
  const flags = dnsPacket.RECURSION_DESIRED;
  return dnsPacket.encode({ type: 'query', id: 7, flags, questions: [{ type, name }], ...more });
}

async function ask(
  name: string,
  type: RecordType = 'A',
  more: object = {},
): Promise<DecodedPacket> {
  const answer = await exchange(query(name, type, more));
  if (!answer) throw new Error('No answer');
  return dnsPacket.decode(answer);
}

const rcode = (packet: DecodedPacket) => (packet as { rcode?: string }).rcode;
const data = (packet: DecodedPacket) =>
  (packet.answers ?? []).map((answer) => ('data' in answer ? answer.data : undefined));

describe('names of the cluster', () => {
  it.each<[string, RecordType, unknown[]]>([
    ['web.default.svc.cluster.local', 'A', ['10.96.0.5']],
    ['WEB.Default.svc.Cluster.Local', 'A', ['10.96.0.5']],
    ['web.default.svc.cluster.local', 'AAAA', ['fd00::5']],
    ['headless.default.svc.cluster.local', 'A', ['10.244.0.7', '10.244.0.8']],
    ['headless.default.svc.cluster.local', 'AAAA', ['fd00:1::7']],
    ['db-0.headless.default.svc.cluster.local', 'A', ['10.244.0.7']],
    ['10-244-0-8.headless.default.svc.cluster.local', 'A', ['10.244.0.8']],
    ['10-244-0-5.default.pod.cluster.local', 'A', ['10.244.0.5']],
    ['5.0.96.10.in-addr.arpa', 'PTR', ['web.default.svc.cluster.local']],
    ['7.0.244.10.in-addr.arpa', 'PTR', ['db-0.headless.default.svc.cluster.local']],
    ['8.0.244.10.in-addr.arpa', 'PTR', ['10-244-0-8.headless.default.svc.cluster.local']],
    [
      '5.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.d.f.ip6.arpa',
      'PTR',
      ['web.default.svc.cluster.local'],
    ],
    [
      '7.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.1.0.0.0.0.0.d.f.ip6.arpa',
      'PTR',
      ['db-0.headless.default.svc.cluster.local'],
    ],
    ['outside.default.svc.cluster.local', 'CNAME', ['up.example']],
    ['web.default.svc.cluster.local', 'ANY' as RecordType, ['10.96.0.5', 'fd00::5']],
    ['fd00-1--7.default.pod.cluster.local', 'AAAA', ['fd00:1::7']],
    [
      '_http._tcp.web.default.svc.cluster.local',
      'SRV',
      [{ priority: 0, weight: 100, port: 80, target: 'web.default.svc.cluster.local' }],
    ],
    // Asked for SRV, a Service lists its named ports.
    [
      'web.default.svc.cluster.local',
      'SRV',
      [{ priority: 0, weight: 100, port: 80, target: 'web.default.svc.cluster.local' }],
    ],
    // An endpoint has a name below any Service that has it.
    ['10-244-7-7.web.default.svc.cluster.local', 'A', ['10.244.7.7']],
  ])('%s %s', async (name, type, expected) => {
    const answer = await ask(name, type);
    expect(rcode(answer)).toBe('NOERROR');
    // Each answer begins with another address.
    expect(data(answer).sort()).toEqual(expected);
    expect((answer.flags ?? 0) & dnsPacket.AUTHORITATIVE_ANSWER).toBeTruthy();
  });

  it('names each endpoint of a headless service in its SRV records, with addresses', async () => {
    const name = '_http._tcp.headless.default.svc.cluster.local';
    const answer = await ask(name, 'SRV');
    const targets = data(answer).map((entry) => (entry as { target: string }).target);
    expect([...new Set(targets)].sort()).toEqual([
      '10-244-0-8.headless.default.svc.cluster.local',
      'db-0.headless.default.svc.cluster.local',
    ]);
    expect(answer.additionals?.map(({ type }) => type).sort()).toEqual(['A', 'A', 'AAAA']);
  });

  it('says its version', async () => {
    expect(String(data(await ask('dns-version.cluster.local', 'TXT')))).toBe('1.1.0');
  });

  it('has the SOA of its zone at the zone’s own name', async () => {
    const answer = await ask('cluster.local', 'SOA');
    expect(answer.answers).toMatchObject([
      { type: 'SOA', name: 'cluster.local', data: { mname: 'ns.dns.cluster.local' } },
    ]);
    expect(answer.authorities).toEqual([]);
  });

  it.each<[string, RecordType]>([
    ['nobody.default.svc.cluster.local', 'A'],
    ['web.elsewhere.svc.cluster.local', 'A'],
    ['idle.default.svc.cluster.local', 'A'],
    ['db-9.headless.default.svc.cluster.local', 'A'],
    ['_other._tcp.web.default.svc.cluster.local', 'SRV'],
    ['_http._udp.web.default.svc.cluster.local', 'SRV'],
    ['not-an-ip.default.pod.cluster.local', 'A'],
    ['x.web.default.svc.cluster.local', 'A'],
    ['nonsense.cluster.local', 'A'],
  ])('%s %s does not exist: NXDOMAIN with the SOA', async (name, type) => {
    const answer = await ask(name, type);
    expect(rcode(answer)).toBe('NXDOMAIN');
    // Its time to live, and the least of the SOA's own, is how long the denial may be remembered.
    expect(answer.authorities).toMatchObject([
      { type: 'SOA', name: 'cluster.local', ttl: TTL_SECONDS, data: { minimum: TTL_SECONDS } },
    ]);
  });

  it.each<[string, RecordType]>([
    ['web.default.svc.cluster.local', 'MX'],
    ['db-0.headless.default.svc.cluster.local', 'TXT'],
    ['default.svc.cluster.local', 'A'],
    ['svc.cluster.local', 'A'],
    ['_tcp.web.default.svc.cluster.local', 'SRV'],
    ['10-244-0-5.default.pod.cluster.local', 'AAAA'],
  ])('%s %s exists without such a record: NODATA with the SOA', async (name, type) => {
    const answer = await ask(name, type);
    expect(rcode(answer)).toBe('NOERROR');
    expect(answer.answers).toEqual([]);
    expect(answer.authorities?.[0]?.type).toBe('SOA');
  });

  it('follows an ExternalName to its addresses', async () => {
    expect(data(await ask('outside.default.svc.cluster.local'))).toEqual([
      'up.example',
      '192.0.2.80',
    ]);
  });

  it.each<[string, (n: number) => Promise<{ name: string; address: string }>]>([
    [
      'a new Service',
      async (n) => {
        const address = `10.96.1.${n}`;
        const made = service(`fresh-${n}`, { clusterIP: address, clusterIPs: [address] });
        await client.create(SERVICES, made as unknown as Service);
        return { name: `fresh-${n}.default.svc.cluster.local`, address };
      },
    ],
    [
      'a new endpoint',
      async (n) => {
        const address = `10.244.6.${n}`;
        const key = { namespace: 'default', name: 'moving-ipv4' };
        const { metadata } = await client.get(ENDPOINT_SLICES, key);
        const changed = { ...slice('moving', [{ addresses: [address] }]), metadata };
        await client.update(ENDPOINT_SLICES, changed as EndpointSlice);
        return { name: 'moving.default.svc.cluster.local', address };
      },
    ],
  ])('answers %s within 100 ms', async (_what, change) => {
    const took: number[] = [];
    for (let n = 1; n <= 20; n++) {
      const started = performance.now();
      const { name, address } = await change(n);
      while (data(await ask(name))[0] !== address);
      took.push(performance.now() - started);
    }
    // What else the machine does may hold up some of them, but not each.
    expect(Math.min(...took)).toBeLessThan(100);
  });
});

describe('other names', () => {
  it('are asked upstream once and then remembered, also when they do not exist', async () => {
    const before = upstreamAsked;
    for (let i = 0; i < 3; i++) expect(data(await ask('up.example'))).toEqual(['192.0.2.80']);
    for (let i = 0; i < 3; i++) expect(rcode(await ask('no.example'))).toBe('NXDOMAIN');
    expect(upstreamAsked - before).toBeLessThanOrEqual(2);
  });
});

describe('autopath', () => {
  it.each<[string, unknown[]]>([
    ['up.example.shop.svc.cluster.local', ['up.example', '192.0.2.80']],
    ['web.default.shop.svc.cluster.local', ['web.default.svc.cluster.local', '10.96.0.5']],
  ])('answers %s with what the end of the search path has', async (name, expected) => {
    const answer = await ask(name);
    expect(rcode(answer)).toBe('NOERROR');
    expect(data(answer)).toEqual(expected);
    expect(answer.answers?.[0]?.name).toBe(name);
  });

  it('denies what no name of the path has, and what is not of the asker’s namespace', async () => {
    expect(rcode(await ask('no.example.shop.svc.cluster.local'))).toBe('NXDOMAIN');
    expect(rcode(await ask('up.example.other.svc.cluster.local'))).toBe('NXDOMAIN');
  });
});

describe('the protocol', () => {
  it('cuts what does not fit into 512 bytes, and gives more to who can take it', async () => {
    const name = 'many.default.svc.cluster.local';
    const plain = await exchange(query(name, 'A'));
    expect(plain?.length).toBeLessThanOrEqual(512);
    const packet = dnsPacket.decode(plain ?? Buffer.alloc(0));
    expect((packet.flags ?? 0) & dnsPacket.TRUNCATED_RESPONSE).toBeTruthy();
    // Who does not ask again over TCP still has some addresses.
    expect(packet.answers?.length).toBeGreaterThan(20);
    const opt = { type: 'OPT', name: '.', udpPayloadSize: 1232, flags: 0, options: [] };
    const large = await ask(name, 'A', { additionals: [opt] });
    expect(large.answers).toHaveLength(40);
    expect(large.additionals?.some(({ type }) => type === 'OPT')).toBe(true);
  });

  it('answers over TCP, several questions in a row', async () => {
    const socket = connect(port, '127.0.0.1');
    let received: Buffer = Buffer.alloc(0);
    const both = new Promise<void>((resolve) => {
      socket.on('data', (chunk) => {
        received = Buffer.concat([received, Buffer.from(chunk)]);
        const first = received.readUInt16BE(0) + 2;
        if (received.length > first + 2) resolve();
      });
    });
    for (const name of ['many.default.svc.cluster.local', 'web.default.svc.cluster.local']) {
      socket.write(framed(query(name, 'A')));
    }
    await both;
    expect(dnsPacket.decode(received, 2).answers).toHaveLength(40);
    socket.destroy();
  });

  it('answers over TCP who has closed its half already, and then closes the other', async () => {
    const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
    // Nobody has asked for it before: the answer comes from another server, so later than the end of the questions.
    socket.end(framed(query('half.example', 'A')));
    const chunks: Buffer[] = [];
    for await (const chunk of socket) chunks.push(chunk as Buffer);
    expect(rcode(dnsPacket.decode(Buffer.concat(chunks), 2))).toBe('NXDOMAIN');
  });

  it('survives any bytes over TCP as well, and answers what comes after them', async () => {
    const question = query('web.default.svc.cluster.local', 'A');
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 600 }), async (bytes) => {
        const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
        socket.end(Buffer.concat([framed(Buffer.from(bytes)), framed(question)]));
        const chunks: Buffer[] = [];
        for await (const chunk of socket) chunks.push(chunk as Buffer);
        let rest: Buffer = Buffer.concat(chunks);
        const answers: Buffer[] = [];
        while (rest.length > 0) {
          const end = 2 + rest.readUInt16BE(0);
          answers.push(rest.subarray(2, end));
          rest = rest.subarray(end);
        }
        expect(answers.length).toBeLessThanOrEqual(2);
        const right = answers.filter((answer) => answer.readUInt16BE(0) === 7);
        expect(right.map((answer) => data(dnsPacket.decode(answer)))).toContainEqual(['10.96.0.5']);
      }),
      { numRuns: 50 },
    );
  });

  it.each<[string, object, string]>([
    ['zone transfers', { questions: [{ type: 'AXFR', name: 'cluster.local' }] }, 'REFUSED'],
    [
      'other classes',
      { questions: [{ type: 'A', name: 'a.cluster.local', class: 'CH' }] },
      'REFUSED',
    ],
    ['one by one', { questions: [{ type: 'IXFR', name: 'cluster.local' }] }, 'REFUSED'],
    ['other operations', { flags: 5 << 11 }, 'NOTIMP'],
    ['no question', { questions: [] }, 'FORMERR'],
  ])('refuses %s', async (_name, more, expected) => {
    expect(rcode(await ask('web.default.svc.cluster.local', 'A', more))).toBe(expected);
  });

  it('knows the first version of EDNS only, and says so to who asks by a later one', async () => {
    const opt = { type: 'OPT', name: '.', udpPayloadSize: 1232, ednsVersion: 1, flags: 0 };
    const additionals = [{ ...opt, options: [] }];
    const answer = await ask('web.default.svc.cluster.local', 'A', { additionals });
    expect(answer.answers).toEqual([]);
    // BADVERS is 16: a one above the four bits of the header.
    expect([rcode(answer), answer.additionals]).toMatchObject([
      'NOERROR',
      [{ type: 'OPT', extendedRcode: 1, ednsVersion: 0 }],
    ]);
  });

  it('survives any bytes, and never answers with more than the limit or to an answer', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 600 }), async (bytes) => {
        const answer = await exchange(Buffer.from(bytes), 5);
        expect(answer?.length ?? 0).toBeLessThanOrEqual(1232);
        if ((bytes[2] ?? 0x80) & 0x80) expect(answer).toBeUndefined();
      }),
      { numRuns: 150 },
    );
    expect(data(await ask('web.default.svc.cluster.local'))).toEqual(['10.96.0.5']);
  });
});
