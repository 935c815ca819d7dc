import type { Service } from '../../api/types.ts';

export type ServiceSpec = NonNullable<Service['spec']>;

export function addressesOf(spec: ServiceSpec | undefined): string[] {
  const all = spec?.clusterIPs?.length ? spec.clusterIPs : spec?.clusterIP ? [spec.clusterIP] : [];
  return all.filter((address) => address !== 'None' && address !== '');
}

export function wantsAddresses(spec: ServiceSpec): boolean {
  if (spec.type === 'ExternalName') return false;
  if (spec.clusterIP !== 'None' && spec.clusterIPs?.[0] !== 'None') return true;
  spec.clusterIP = 'None';
  spec.clusterIPs = ['None'];
  return false;
}

export function dropAddresses(spec: ServiceSpec): void {
  delete spec.clusterIP;
  delete spec.clusterIPs;
}

export function needsNodePorts({ type, allocateLoadBalancerNodePorts }: ServiceSpec): boolean {
  return (
    type === 'NodePort' || (type === 'LoadBalancer' && allocateLoadBalancerNodePorts !== false)
  );
}

export function needsHealthPort({ type, externalTrafficPolicy }: ServiceSpec): boolean {
  return type === 'LoadBalancer' && externalTrafficPolicy === 'Local';
}

export function dropNodePorts(spec: ServiceSpec): void {
  for (const port of spec.ports ?? []) delete port.nodePort;
}
