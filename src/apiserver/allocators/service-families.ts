import { isIPv6 } from 'node:net';
import type { Service } from '../../api/types.ts';

type Spec = NonNullable<Service['spec']>;
export type Family = 'IPv4' | 'IPv6';

/** Fills in ipFamilyPolicy and ipFamilies (KEP-563). `available` are the cluster's families, its own first. Pure. */
export function settleFamilies(spec: Spec, available: readonly Family[]): void {
  if (spec.type === 'ExternalName') {
    delete spec.ipFamilies;
    delete spec.ipFamilyPolicy;
    return;
  }
  const asked = (spec.clusterIPs ?? []).filter((ip) => ip !== 'None');
  const families = [...(spec.ipFamilies ?? [])] as Family[];
  for (const [index, ip] of asked.entries()) families[index] ??= isIPv6(ip) ? 'IPv6' : 'IPv4';
  // Whoever writes the endpoints of such a Service may use both families, whatever the cluster has.
  const anyFamily = isHeadless(spec) && Object.keys(spec.selector ?? {}).length === 0;
  spec.ipFamilyPolicy ??= anyFamily || families.length > 1 ? 'RequireDualStack' : 'SingleStack';
  spec.ipFamilies =
    spec.ipFamilyPolicy === 'SingleStack'
      ? withPrimary(families, available)
      : withOther(withPrimary(families, available), anyFamily ? BOTH : available);
}

const BOTH: readonly Family[] = ['IPv4', 'IPv6'];

function isHeadless({ clusterIP, clusterIPs }: Spec): boolean {
  return clusterIP === 'None' || clusterIPs?.[0] === 'None';
}

function withPrimary(families: Family[], [primary = 'IPv4']: readonly Family[]): Family[] {
  return families.length === 0 ? [primary] : families;
}

function withOther(families: Family[], available: readonly Family[]): Family[] {
  const other = available.find((family) => family !== families[0]);
  return families.length === 1 && other ? [...families, other] : families;
}
