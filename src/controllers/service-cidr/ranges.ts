import type { IPAddress, ServiceCIDR } from '../../api/types.ts';
import { cidrContains } from '../../util/ip.ts';

const MANAGED_BY = 'ipaddress.kubernetes.io/managed-by';
const ALLOCATOR = 'ipallocator.k8s.io';

/** An address that an API server gave lies in this range. */
export function holdsAddress(range: ServiceCIDR, { metadata }: IPAddress): boolean {
  if (metadata.labels?.[MANAGED_BY] !== ALLOCATOR) return false;
  return cidrsOf(range).some((cidr) => cidrContains(cidr, metadata.name));
}

/** One of them has addresses of the other. */
export function overlaps(a: ServiceCIDR, b: ServiceCIDR): boolean {
  return cidrsOf(a).some((left) =>
    cidrsOf(b).some((right) => covers(left, right) || covers(right, left)),
  );
}

/** Without it an address would belong to no range: no other covers it whole, and one of its addresses is in it alone. Pure. */
export function isNeeded(
  range: ServiceCIDR,
  ranges: readonly ServiceCIDR[],
  addresses: readonly IPAddress[],
): boolean {
  const others = ranges.filter(({ metadata }) => metadata.name !== range.metadata.name);
  const isCovered = (cidr: string) =>
    others.some((other) => cidrsOf(other).some((larger) => covers(larger, cidr)));
  if (cidrsOf(range).every(isCovered)) return false;
  return addresses.some(
    (address) =>
      holdsAddress(range, address) && !others.some((other) => holdsAddress(other, address)),
  );
}

function cidrsOf({ spec }: ServiceCIDR): readonly string[] {
  return spec?.cidrs ?? [];
}

function covers(larger: string, smaller: string): boolean {
  const [network = '', bits = ''] = smaller.split('/');
  return cidrContains(larger, network) && Number(larger.split('/')[1]) <= Number(bits);
}
