import type { Service } from '../../api/types.ts';
import { needsHealthPort, needsNodePorts, type ServiceSpec } from './service-needs.ts';

/** An update that leaves out what was allocated keeps it (upstream's patchAllocatedValues). Pure. */
export function carryOver(spec: ServiceSpec, old: ServiceSpec): void {
  if (spec.type !== 'ExternalName' && old.type !== 'ExternalName') {
    carryAddresses(spec, old);
    if (old.ipFamilies && !spec.ipFamilies?.length) spec.ipFamilies = [...old.ipFamilies];
    if (old.ipFamilyPolicy) spec.ipFamilyPolicy ??= old.ipFamilyPolicy;
  }
  if (needsNodePorts(spec) && needsNodePorts(old)) carryPorts(spec, old);
}

function carryPorts(spec: ServiceSpec, old: ServiceSpec): void {
  const taken = new Set((spec.ports ?? []).map((p) => p.nodePort));
  for (const port of spec.ports ?? []) {
    const before = matching(old, port)?.nodePort;
    if (!port.nodePort && before && !taken.has(before)) port.nodePort = before;
  }
  if (needsHealthPort(spec) && old.healthCheckNodePort) {
    spec.healthCheckNodePort ||= old.healthCheckNodePort;
  }
}

function carryAddresses(spec: ServiceSpec, old: ServiceSpec): void {
  const { clusterIP, clusterIPs = [] } = spec;
  if (clusterIPs.length > 0) return;
  if (!clusterIP && old.clusterIP) spec.clusterIP = old.clusterIP;
  if (!spec.clusterIP) return;
  const same = spec.clusterIP === old.clusterIP;
  spec.clusterIPs = same && old.clusterIPs ? [...old.clusterIPs] : [spec.clusterIP];
}

type Port = NonNullable<NonNullable<Service['spec']>['ports']>[number];

function matching(old: ServiceSpec, port: Port): Port | undefined {
  return old.ports?.find((p) => p.port === port.port && p.protocol === port.protocol);
}
