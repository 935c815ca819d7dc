import { describe, expect, it } from 'vitest';
import { servicePort } from '../service-port.fake.ts';
import { endpointChain, isServiceChain, serviceChains } from './chains.ts';

describe('serviceChains', () => {
  it('gives the names that every kube-proxy gives', () => {
    const service = servicePort({ namespace: 'default', service: 'kubernetes', portName: 'https' });
    expect(serviceChains(service)).toEqual({
      cluster: 'KUBE-SVC-NPX46M4PTMTKRN6Y',
      local: 'KUBE-SVL-NPX46M4PTMTKRN6Y',
      external: 'KUBE-EXT-NPX46M4PTMTKRN6Y',
      firewall: 'KUBE-FW-NPX46M4PTMTKRN6Y',
    });
  });

  it('tells the same port number under two protocols apart', () => {
    const tcp = servicePort({ protocol: 'TCP' });
    const udp = servicePort({ protocol: 'UDP' });
    expect(serviceChains(tcp).cluster).not.toBe(serviceChains(udp).cluster);
  });
});

describe('endpointChain', () => {
  it('is a service chain of at most 28 characters', () => {
    const service = servicePort({ endpoints: ['10.244.0.5:8080'] });
    const [endpoint] = service.endpoints.reachable;
    const name = endpoint ? endpointChain(service, endpoint) : '';
    expect(isServiceChain(name)).toBe(true);
    expect(name.length).toBeLessThanOrEqual(28);
  });
});
