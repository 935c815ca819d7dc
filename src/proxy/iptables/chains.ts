import { createHash } from 'node:crypto';
import type { Endpoint, ServicePort } from '../model.ts';

const BASE32 = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';

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

/** First 16 characters of base32 (RFC 4648) of SHA-256: chain names hold 28 characters at most. */
function chainHash(text: string): string {
  const digest = createHash('sha256').update(text).digest();
  let bits = 0;
  let value = 0;
  let out = '';
  for (const byte of digest.subarray(0, 10)) {
    value = (value << 8) | byte;
    bits += 8;
    while (bits >= 5) {
      bits -= 5;
      out += BASE32[(value >>> bits) & 31];
      value &= (1 << bits) - 1;
    }
  }
  return out;
}
