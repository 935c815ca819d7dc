import { describe, expect, it } from 'vitest';
import type { EndpointSlice } from '../../api/types.ts';
import type { Endpoint } from './endpoints-of.ts';
import { planSlices } from './packing.ts';

const frame = {
  namespace: 'default',
  generateName: 'web-',
  addressType: 'IPv4',
  labels: { app: 'web' },
  owner: undefined,
  maxEndpoints: 3,
};
const ports = [{ name: 'http', port: 80, protocol: 'TCP' }];

const endpoint = (n: number, ready = true): Endpoint => ({
  addresses: [`10.0.0.${n}`],
  conditions: { ready, serving: ready, terminating: false },
  targetRef: { kind: 'Pod', uid: `u${n}` },
});

function slice(name: string, endpoints: Endpoint[]): EndpointSlice {
  return {
    metadata: { name, namespace: 'default', labels: { app: 'web' } },
    addressType: 'IPv4',
    endpoints,
    ports,
  } as unknown as EndpointSlice;
}

function planned(wanted: Endpoint[], existing: EndpointSlice[]) {
  const plan = planSlices(frame, wanted.length > 0 ? [{ ports, endpoints: wanted }] : [], existing);
  const ids = (endpoints: Endpoint[] | undefined) =>
    (endpoints ?? []).map(({ addresses }) => Number(addresses[0]?.slice(7)));
  return {
    create: plan.create.map(({ endpoints }) => ids(endpoints)),
    update: plan.update.map(({ metadata, endpoints }) => [metadata.name, ...ids(endpoints)]),
    delete: plan.delete.map(({ metadata }) => metadata.name),
  };
}

const NOTHING = { create: [], update: [], delete: [] };

describe('planSlices', () => {
  it('writes nothing when nothing changed', () => {
    const existing = [slice('a', [endpoint(1), endpoint(2)])];
    expect(planned([endpoint(2), endpoint(1)], existing)).toEqual(NOTHING);
  });

  it('writes exactly the slice whose endpoint changed', () => {
    const existing = [
      slice('a', [endpoint(1), endpoint(2), endpoint(3)]),
      slice('b', [endpoint(4)]),
    ];
    const wanted = [1, 2, 3].map((n) => endpoint(n)).concat(endpoint(4, false));
    expect(planned(wanted, existing)).toEqual({ ...NOTHING, update: [['b', 4]] });
  });

  it('puts new endpoints into a slice that is written anyway', () => {
    const existing = [slice('a', [endpoint(1)]), slice('b', [endpoint(2), endpoint(3)])];
    const wanted = [endpoint(1), endpoint(3), endpoint(4)];
    expect(planned(wanted, existing)).toEqual({ ...NOTHING, update: [['b', 3, 4]] });
  });

  it('fills the fullest slice that takes all, else makes new ones', () => {
    const existing = [slice('a', [endpoint(1)]), slice('b', [endpoint(2), endpoint(3)])];
    const before = [1, 2, 3].map((n) => endpoint(n));
    expect(planned([...before, endpoint(4)], existing)).toEqual({
      ...NOTHING,
      update: [['b', 2, 3, 4]],
    });
    const many = [4, 5, 6, 7].map((n) => endpoint(n));
    expect(planned([...before, ...many], existing)).toEqual({
      ...NOTHING,
      create: [[4, 5, 6]],
      update: [['b', 2, 3, 7]],
    });
  });

  it('deletes an emptied slice, and keeps one placeholder when there is no endpoint', () => {
    expect(planned([endpoint(1)], [slice('a', [endpoint(1)]), slice('b', [endpoint(2)])])).toEqual({
      ...NOTHING,
      delete: ['b'],
    });
    expect(planned([], [slice('a', [endpoint(1)])])).toEqual({
      create: [[]],
      update: [],
      delete: ['a'],
    });
    const placeholder = { ...slice('p', []), ports: [] } as EndpointSlice;
    expect(planned([], [placeholder])).toEqual(NOTHING);
  });
});
