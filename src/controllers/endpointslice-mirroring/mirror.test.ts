import { describe, expect, it } from 'vitest';
import type { EndpointSlice, Endpoints } from '../../api/types.ts';
import { mirror } from './mirror.ts';

const owner = { apiVersion: 'v1', kind: 'Endpoints', name: 'db', uid: 'u' };
const frame = { owner, maxEndpoints: 1000 };
const endpoints = {
  metadata: { name: 'db', namespace: 'a', labels: { app: 'db' } },
  subsets: [
    {
      addresses: [{ ip: '10.0.0.1' }, { ip: 'fd00::1' }],
      notReadyAddresses: [{ ip: '10.0.0.2' }],
      ports: [{ port: 5432 }],
    },
  ],
} as unknown as Endpoints;

describe('mirror', () => {
  it('makes a slice for each family, and then nothing', () => {
    const plan = mirror(endpoints, frame, []);
    expect(
      plan.create.map((s) => [s.addressType, s.endpoints?.map((e) => e.addresses[0])]),
    ).toEqual([
      ['IPv4', ['10.0.0.1', '10.0.0.2']],
      ['IPv6', ['fd00::1']],
    ]);
    expect(plan.create[0]?.ports).toEqual([{ name: '', port: 5432, protocol: 'TCP' }]);
    expect(plan.create[0]?.endpoints?.map((e) => e.conditions?.ready)).toEqual([true, false]);
    const again = mirror(endpoints, frame, plan.create as EndpointSlice[]);
    expect(again).toEqual({ create: [], update: [], delete: [] });
  });

  it('follows changes and takes away what is no more', () => {
    const existing = mirror(endpoints, frame, []).create as EndpointSlice[];
    const [subset] = endpoints.subsets ?? [];
    const changed = { ...endpoints, subsets: [{ ...subset, addresses: [{ ip: '10.0.0.9' }] }] };
    const plan = mirror(changed as Endpoints, frame, existing);
    expect(plan.update.map((s) => s.endpoints?.map((e) => e.addresses[0]))).toEqual([
      ['10.0.0.9', '10.0.0.2'],
    ]);
    expect(plan.delete.map((s) => s.addressType)).toEqual(['IPv6']);
  });
});
