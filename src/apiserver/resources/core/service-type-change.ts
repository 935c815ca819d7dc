import type { Service } from '../../../api/types.ts';
import { jsonEqual } from '../../../util/json.ts';

type Spec = NonNullable<Service['spec']>;

/** A client that writes a Service without what the server allocated for it means to keep that. */
export function patchAllocated({ spec }: Service, { spec: was }: Service): void {
  if (!spec || !was) return;
  if (needsAddresses(spec) && needsAddresses(was)) {
    if (!spec.clusterIP && !spec.clusterIPs?.length)
      copyDefined(spec, was, ['clusterIP', 'clusterIPs']);
    copyMissing(spec, was, ['ipFamilies', 'ipFamilyPolicy']);
  }
  if (needsNodePorts(spec) && needsNodePorts(was)) keepNodePorts(spec, was);
}

const ADDRESS_FIELDS = ['clusterIP', 'clusterIPs', 'ipFamilies', 'ipFamilyPolicy'] as const;
type AddressField = (typeof ADDRESS_FIELDS)[number];

/** Which fields a kind of Service is written with; one that becomes another kind gives them up unless they are changed. */
const DEPENDENT: readonly {
  readonly needs: (spec: Spec) => boolean;
  readonly fields: readonly (keyof Spec)[];
}[] = [
  { needs: needsAddresses, fields: ADDRESS_FIELDS },
  { needs: isBalanced, fields: ['allocateLoadBalancerNodePorts', 'loadBalancerClass'] },
  { needs: needsHealthPort, fields: ['healthCheckNodePort'] },
  { needs: isExternallyAccessible, fields: ['externalTrafficPolicy'] },
];

/** A Service of another type than before gives up what only the old one needs (upstream's dropTypeDependentFields). */
export function dropTypeDependent(service: Service, { spec: was }: Service): void {
  const { spec } = service;
  if (!spec || !was) return;
  for (const { needs, fields } of DEPENDENT) {
    if (needs(was) && !needs(spec)) dropUnchanged(spec, was, fields);
  }
  if (needsNodePorts(was) && !needsNodePorts(spec)) dropNodePorts(spec, was);
  if (!isBalanced(spec) && service.status) service.status.loadBalancer = {};
}

function needsAddresses({ type }: Spec): boolean {
  return type !== 'ExternalName';
}

function isBalanced({ type }: Spec): boolean {
  return type === 'LoadBalancer';
}

function needsNodePorts({ type, allocateLoadBalancerNodePorts }: Spec): boolean {
  return (
    type === 'NodePort' || (type === 'LoadBalancer' && allocateLoadBalancerNodePorts !== false)
  );
}

function needsHealthPort({ type, externalTrafficPolicy }: Spec): boolean {
  return type === 'LoadBalancer' && externalTrafficPolicy === 'Local';
}

function isExternallyAccessible({ type, externalIPs = [] }: Spec): boolean {
  if (type === 'NodePort' || type === 'LoadBalancer') return true;
  return type === 'ClusterIP' && externalIPs.length > 0;
}

function dropUnchanged(spec: Spec, was: Spec, fields: readonly (keyof Spec)[]): void {
  for (const field of fields) if (jsonEqual(spec[field], was[field])) delete spec[field];
}

function copyDefined(spec: Spec, was: Spec, fields: readonly AddressField[]): void {
  for (const field of fields) {
    if (was[field] !== undefined) Object.assign(spec, { [field]: structuredClone(was[field]) });
  }
}

function copyMissing(spec: Spec, was: Spec, fields: readonly AddressField[]): void {
  copyDefined(
    spec,
    was,
    fields.filter((field) => spec[field] === undefined),
  );
}

/** Ports that say no node port keep the one they had. */
function keepNodePorts(spec: Spec, was: Spec): void {
  const had = new Map((was.ports ?? []).map((p) => [`${p.port}/${p.protocol}`, p.nodePort]));
  const taken = new Set((spec.ports ?? []).map((p) => `${p.nodePort}/${p.protocol}`));
  for (const port of spec.ports ?? []) {
    const nodePort = had.get(`${port.port}/${port.protocol}`);
    if (port.nodePort || !nodePort || taken.has(`${nodePort}/${port.protocol}`)) continue;
    port.nodePort = nodePort;
  }
}

function dropNodePorts(spec: Spec, was: Spec): void {
  const had = new Set((was.ports ?? []).map((p) => `${p.nodePort}/${p.protocol}`));
  for (const port of spec.ports ?? []) {
    if (had.has(`${port.nodePort}/${port.protocol}`)) delete port.nodePort;
  }
}
