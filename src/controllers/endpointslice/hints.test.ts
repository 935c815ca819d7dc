import { describe, expect, it } from 'vitest';
import { fc } from '../../../test/support/properties.ts';
import type { Node } from '../../api/types.ts';
import type { Endpoint } from './endpoints-of.ts';
import { allotZones, zoneRatios } from './hints.ts';

const nodeOf = (zone: string | undefined, cpu: string | undefined, more: object = {}) =>
  ({
    metadata: { labels: { ...(zone ? { 'topology.kubernetes.io/zone': zone } : {}), ...more } },
    status: {
      allocatable: cpu ? { cpu } : {},
      conditions: [{ type: 'Ready', status: 'True' }],
    },
  }) as unknown as Node;
const endpointsIn = (zones: string) =>
  [...zones].map((zone, i) => ({
    addresses: [`10.0.0.${String(i).padStart(3, '0')}`],
    conditions: { ready: zone !== 'x' },
    ...(zone === '-' ? {} : { zone }),
  }));

describe('zoneRatios', () => {
  it('shares by CPUs, without control planes', () => {
    const control = { 'node-role.kubernetes.io/control-plane': '' };
    const nodes = [nodeOf('a', '4'), nodeOf('b', '500m'), nodeOf('b', '1500m'), nodeOf('c', '2')];
    expect(zoneRatios([...nodes, nodeOf('a', '64', control)])).toEqual(
      new Map([
        ['a', 0.5],
        ['b', 0.25],
        ['c', 0.25],
      ]),
    );
  });

  it.each([
    ['no zone', [nodeOf('a', '1'), nodeOf(undefined, '1')], 'Insufficient Node information'],
    ['no CPU', [nodeOf('a', '1'), nodeOf('b', undefined)], 'Insufficient Node information'],
    ['one zone', [nodeOf('a', '1'), nodeOf('a', '1')], 'Nodes only ready in one zone'],
  ])('says why not: %s', (_, nodes, problem) => {
    expect(zoneRatios(nodes)).toEqual({ problem: expect.stringContaining(problem) });
  });
});

describe('allotZones', () => {
  const even = new Map([
    ['a', 0.5],
    ['b', 0.5],
  ]);
  const allotted = (zones: string, ratios = even) => {
    const endpoints = endpointsIn(zones) as Endpoint[];
    const found = allotZones(endpoints, ratios);
    if ('problem' in found) return found.problem;
    return endpoints.map((endpoint) => found.get(endpoint) ?? '.').join('');
  };

  it.each([
    ['keeps each in its zone', 'aabb', 'aabb'],
    ['lends what a zone has too much', 'aaab', 'aabb'],
    ['leaves out what is not ready', 'aabbx', 'aabb.'],
    ['refuses too few', 'a', 'Insufficient number of endpoints (1)'],
    ['refuses endpoints without a zone', 'ab-', 'One or more endpoints do not have a zone'],
  ])('%s', (_, zones, wanted) => {
    expect(allotted(zones)).toContain(wanted);
  });

  it('never gives a zone less than it must have', () => {
    const cpus = fc.dictionary(
      fc.constantFrom('a', 'b', 'c', 'd'),
      fc.integer({ min: 1, max: 8 }),
      {
        minKeys: 2,
      },
    );
    const zones = fc.array(fc.constantFrom('a', 'b', 'c', 'd'), { maxLength: 40 });
    fc.assert(
      fc.property(cpus, zones, (shares, places) => {
        const all = Object.values(shares).reduce((sum, n) => sum + n, 0);
        const ratios = new Map(Object.entries(shares).map(([zone, n]) => [zone, n / all]));
        const endpoints = endpointsIn(places.join('')) as Endpoint[];
        const found = allotZones(endpoints, ratios);
        if ('problem' in found) return;
        expect(found.size).toBe(endpoints.length);
        for (const [zone, ratio] of ratios) {
          const count = [...found.values()].filter((given) => given === zone).length;
          expect(count).toBeGreaterThanOrEqual(Math.ceil((ratio * endpoints.length) / 1.2));
        }
      }),
      // The richest zone may have no more than it must, while another one can give.
      { examples: [[{ b: 3, c: 8, a: 8, d: 1 }, Array<'a'>(9).fill('a')]] },
    );
  });
});
