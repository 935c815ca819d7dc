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
  const [primary = 'IPv4'] = available;
  const asked = (spec.clusterIPs ?? []).filter((ip) => ip !== 'None');
  const headless = spec.clusterIP === 'None' || spec.clusterIPs?.[0] === 'None';
  const selectorless = Object.keys(spec.selector ?? {}).length === 0;
  const families = [...(spec.ipFamilies ?? [])] as Family[];
  for (const [index, ip] of asked.entries()) families[index] ??= isIPv6(ip) ? 'IPv6' : 'IPv4';
  // Whoever writes such a Service's endpoints may use both families, whatever the cluster has.
  const anyFamily = headless && selectorless;
  if (anyFamily) spec.ipFamilyPolicy ??= 'RequireDualStack';
  spec.ipFamilyPolicy ??= families.length > 1 ? 'RequireDualStack' : 'SingleStack';
  if (families.length === 0) families.push(primary);
  const other: Family = families[0] === 'IPv4' ? 'IPv6' : 'IPv4';
  const dual = spec.ipFamilyPolicy !== 'SingleStack';
  if (dual && families.length === 1 && (anyFamily || available.includes(other))) {
    families.push(other);
  }
  spec.ipFamilies = families;
}
