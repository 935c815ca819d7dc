import { describe, expect, it } from 'vitest';
import type { Node } from '../api/types.ts';
import { parseRoutes, routesOf } from './pod-routes.ts';

const node = (name: string, address?: string, podCIDR?: string) =>
  ({
    metadata: { name },
    spec: { podCIDR },
    status: {
      addresses: [
        { type: 'Hostname', address: name },
        ...(address === undefined ? [] : [{ type: 'InternalIP', address }]),
      ],
    },
  }) as unknown as Node;

describe('routesOf', () => {
  it('leads to the Pods of every other node that has a range and an address', () => {
    const nodes = [
      node('a', '192.168.1.1', '10.244.0.0/24'),
      node('b', '192.168.1.2', '10.244.1.0/24'),
      node('without-range', '192.168.1.3'),
      node('without-address', undefined, '10.244.3.0/24'),
    ];
    expect(routesOf(nodes, 'a')).toEqual([{ cidr: '10.244.1.0/24', via: '192.168.1.2' }]);
  });
});

describe('parseRoutes', () => {
  it('reads what ip-route prints', () => {
    expect(parseRoutes('10.244.1.0/24 via 192.168.1.2 dev eth0 \n10.244.2.0/24 dev x\n')).toEqual([
      { cidr: '10.244.1.0/24', via: '192.168.1.2' },
    ]);
  });
});
