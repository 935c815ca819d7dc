import { shortHash } from '../hash.ts';
import type { Endpoint, ServicePort } from '../model.ts';

/** The chains of one service port. Names are upstream's, hash included, so that people and tools know them. */
export interface ServiceChains {
  readonly cluster: string;
  readonly local: string;
  readonly external: string;
  readonly firewall: string;
}

export function serviceChains(service: ServicePort): ServiceChains {
  const hash = chainHash(`${service.name}${service.protocol.toLowerCase()}`);
  return {
    cluster: `KUBE-SVC-${hash}`,
    local: `KUBE-SVL-${hash}`,
    external: `KUBE-EXT-${hash}`,
    firewall: `KUBE-FW-${hash}`,
  };
}

export function endpointChain(service: ServicePort, endpoint: Endpoint): string {
  const { name, protocol } = service;
  return `KUBE-SEP-${chainHash(`${name}${protocol.toLowerCase()}${endpoint.address}`)}`;
}

/** Chains that belong to one service port, of this or an earlier version of a kube-proxy. */
export function isServiceChain(chain: string): boolean {
  return /^KUBE-(SVC|SVL|EXT|FW|SEP|XLB)-/.test(chain);
}

/** Chain names hold 28 characters at most. */
function chainHash(text: string): string {
  return shortHash(text, 16);
}
