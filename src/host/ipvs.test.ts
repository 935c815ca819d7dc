import { describe, expect, it } from 'vitest';
import { parseSets } from './ipset.ts';
import { parseServices, parseVirtualServers } from './ipvs.ts';

describe('parseVirtualServers', () => {
  it('reads servers, their affinity and their destinations', () => {
    const listing = [
      'IP Virtual Server version 1.2.1 (size=4096)',
      'Prot LocalAddress:Port Scheduler Flags',
      '  -> RemoteAddress:Port           Forward Weight ActiveConn InActConn',
      'TCP  10.96.0.10:80 rr persistent 100',
      '  -> 10.244.0.11:8080             Masq    1      2          1         ',
      '  -> 10.244.0.12:8080             Masq    0      0          0         ',
      'UDP  10.96.0.27:53 wlc',
      'TCP  [fd00:10:96::28]:80 sh',
      '  -> [fd00:10:244::11]:8080       Masq    1      0          0         ',
      'SCTP 10.96.0.30:9 rr',
      'FWM  7 rr',
      '',
    ].join('\n');
    expect(parseVirtualServers(listing)).toEqual([
      {
        service: '-t 10.96.0.10:80',
        scheduler: 'rr',
        persistent: 100,
        destinations: [
          { address: '10.244.0.11:8080', weight: 1, connections: 3 },
          { address: '10.244.0.12:8080', weight: 0, connections: 0 },
        ],
      },
      { service: '-u 10.96.0.27:53', scheduler: 'wlc', persistent: undefined, destinations: [] },
      {
        service: '-t [fd00:10:96::28]:80',
        scheduler: 'sh',
        persistent: undefined,
        destinations: [{ address: '[fd00:10:244::11]:8080', weight: 1, connections: 0 }],
      },
      {
        service: '--sctp-service 10.96.0.30:9',
        scheduler: 'rr',
        persistent: undefined,
        destinations: [],
      },
    ]);
  });
});

describe('parseServices', () => {
  it.each([1, 7, 100, 10_000])('reads the table of the kernel in pieces of %i', async (size) => {
    const table = [
      'IP Virtual Server version 1.2.1 (size=4096)',
      'Prot LocalAddress:Port Scheduler Flags',
      '  -> RemoteAddress:Port Forward Weight ActiveConn InActConn',
      'TCP  0A60000A:0050 rr persistent 100 FFFFFFFF',
      '  -> 0AF4000B:1F90      Masq    1      0          0         ',
      'UDP  0A60001B:0035 wlc ',
      'TCP  [fd00:0010:0096:0000:0000:0000:0000:0028]:0050 sh ',
      '  -> [fd00:0010:0244:0000:0000:0000:0000:0011]:1F90      Masq    1      0          0         ',
      'SCTP 0A60001E:0009 rr ',
      'FWM  00000007 rr ',
      '',
    ].join('\n');
    async function* pieces() {
      for (let at = 0; at < table.length; at += size) yield table.slice(at, at + size);
    }
    expect([...(await parseServices(pieces()))]).toEqual([
      '-t 10.96.0.10:80',
      '-u 10.96.0.27:53',
      '-t [fd00:10:96::28]:80',
      '--sctp-service 10.96.0.30:9',
    ]);
  });
});

describe('parseSets', () => {
  it('reads the entries of each set', () => {
    const saved =
      'create A hash:ip family inet\nadd A 10.0.0.1\nadd A 10.0.0.2\ncreate B bitmap:port range 0-65535\n';
    expect(parseSets(saved)).toEqual(
      new Map([
        ['A', new Set(['10.0.0.1', '10.0.0.2'])],
        ['B', new Set()],
      ]),
    );
  });
});
