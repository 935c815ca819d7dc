import { describe, expect, it } from 'vitest';
import { parseFlows } from '../host/conntrack.ts';
import type { ServicePort } from './model.ts';
import { servicePort } from './service-port.fake.ts';
import { changedUdpServices, staleFlows } from './stale-flows.ts';

const DNS = servicePort({
  protocol: 'UDP',
  port: 53,
  nodePort: 30_053,
  endpoints: ['10.244.0.1:5353'],
});
const state = { family: 4 as const, services: new Map<string, ServicePort>([[DNS.id, DNS]]) };

const line = (to: string, port: number, by: string, byPort: number) =>
  `udp 17 29 src=10.244.0.9 dst=${to} sport=4000 dport=${port} src=${by} dst=10.244.0.9 sport=${byPort} dport=4000 mark=0 use=1`;

describe('staleFlows', () => {
  it.each([
    ['to a living endpoint', line('10.96.0.1', 53, '10.244.0.1', 5353), false],
    ['to an endpoint that is gone', line('10.96.0.1', 53, '10.244.0.7', 5353), true],
    ['that was never translated', line('10.96.0.1', 53, '10.96.0.1', 53), true],
    [
      'by node port to an endpoint that is gone',
      line('192.0.2.1', 30_053, '10.244.0.7', 5353),
      true,
    ],
    ['to something that is no service', line('8.8.8.8', 53, '8.8.8.8', 53), false],
  ])('judges a flow %s', (_name, listing, stale) => {
    expect(staleFlows(parseFlows(listing), state)).toHaveLength(stale ? 1 : 0);
  });

  const none = { family: 4 as const, services: new Map<string, ServicePort>() };
  it.each([
    ['to a service that is gone', line('10.96.0.1', 53, '10.244.0.1', 5353), true],
    ['to its node port', line('192.0.2.1', 30_053, '10.244.0.1', 5353), true],
    ['to the same number elsewhere', line('8.8.8.8', 30_053, '8.8.8.8', 30_053), false],
  ])('judges a flow %s', (_name, listing, stale) => {
    expect(staleFlows(parseFlows(listing), none, [DNS])).toHaveLength(stale ? 1 : 0);
  });

  it('asks the one that has an address now, not the one that had it', () => {
    const heir = servicePort({ ...DNS, service: 'heir', endpoints: ['10.244.0.2:5353'] });
    const after = { family: 4 as const, services: new Map([[heir.id, heir]]) };
    const kept = parseFlows(line('192.0.2.1', 30_053, '10.244.0.2', 5353));
    expect(staleFlows(kept, after, [DNS])).toEqual([]);
  });
});

describe('changedUdpServices', () => {
  it('minds UDP only, and tells what was before', () => {
    const tcp = servicePort({ endpoints: ['10.0.0.1:1'] });
    const holding = (...services: ServicePort[]) => ({
      family: 4 as const,
      services: new Map(services.map((service) => [service.id, service])),
    });
    const known = new Map<string, ServicePort>();
    expect(changedUdpServices(known, holding(tcp))).toBeUndefined();
    expect(changedUdpServices(known, holding(tcp, DNS))).toEqual([]);
    expect(changedUdpServices(known, holding(tcp, DNS))).toBeUndefined();
    const other = { ...DNS };
    expect(changedUdpServices(known, holding(other))).toEqual([DNS]);
    expect(changedUdpServices(known, holding(tcp))).toEqual([other]);
    expect(known.size).toBe(0);
  });
});
