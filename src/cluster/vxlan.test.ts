import { describe, expect, it } from 'vitest';
import { hardwareAddress, tunnelCommands } from './vxlan.ts';

describe('the tunnel to another node', () => {
  it('is known by addresses that follow from the node and its range', () => {
    expect(hardwareAddress('192.168.1.20')).toBe('02:8a:c0:a8:01:14');
    expect(tunnelCommands({ cidr: '10.244.3.0/24', via: '192.168.1.20' })).toEqual({
      ip: ['neigh replace 10.244.3.0 lladdr 02:8a:c0:a8:01:14 dev k8ts-vxlan nud permanent'],
      bridge: ['fdb replace 02:8a:c0:a8:01:14 dev k8ts-vxlan dst 192.168.1.20'],
    });
  });
});
