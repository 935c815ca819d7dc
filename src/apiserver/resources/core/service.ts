import { dns1123Label, nameCheck } from '../../../api/names.ts';
import { SERVICES } from '../../../api/resource-types.ts';
import type { Service } from '../../../api/types.ts';
import { age, formatLabels } from '../cells.ts';
import {
  AGE_COLUMN,
  column,
  connectSubresource,
  defineKind,
  NAME_COLUMN,
  statusSubresource,
} from '../kind.ts';
import { keepAllButStatus, keepStatus } from '../status.ts';
import { dropTypeDependent, patchAllocated } from './service-type-change.ts';
import { validateService, validateServiceUpdate } from './service-validation.ts';

type Spec = NonNullable<Service['spec']>;

const SESSION_SECONDS = 10_800;

function defaultService(service: Service): void {
  const spec = service.spec;
  if (!spec) return;
  spec.type ??= 'ClusterIP';
  spec.sessionAffinity ??= 'None';
  if (spec.sessionAffinity === 'None') delete spec.sessionAffinityConfig;
  if (spec.sessionAffinity === 'ClientIP') {
    const { clientIP } = spec.sessionAffinityConfig ?? {};
    const timeoutSeconds = clientIP?.timeoutSeconds ?? SESSION_SECONDS;
    spec.sessionAffinityConfig = { clientIP: { timeoutSeconds } };
  }
  for (const port of spec.ports ?? []) {
    port.protocol ??= 'TCP';
    if (!port.targetPort) port.targetPort = port.port;
  }
  defaultTraffic(spec);
  for (const ingress of service.status?.loadBalancer?.ingress ?? []) {
    if (spec.type === 'LoadBalancer' && ingress.ip) ingress.ipMode ??= 'VIP';
  }
}

function defaultTraffic(spec: Spec): void {
  const external = spec.type === 'NodePort' || spec.type === 'LoadBalancer';
  if (external || (spec.type === 'ClusterIP' && spec.externalIPs?.length)) {
    spec.externalTrafficPolicy ??= 'Cluster';
  }
  if (external || spec.type === 'ClusterIP') spec.internalTrafficPolicy ??= 'Cluster';
  if (spec.type === 'LoadBalancer') spec.allocateLoadBalancerNodePorts ??= true;
}

function externalText({ spec, status }: Service): string {
  const external = spec?.externalIPs ?? [];
  if (spec?.type === 'ExternalName') return spec.externalName ?? '';
  if (spec?.type !== 'LoadBalancer') return external.length > 0 ? external.join(',') : '<none>';
  const ingress = (status?.loadBalancer?.ingress ?? []).map((i) => i.ip || i.hostname || '');
  const all = [...new Set(ingress.filter((text) => text !== ''))].sort();
  if (external.length > 0) return [...all, ...external].join(',');
  return all.length > 0 ? all.join(',') : '<pending>';
}

function portsText(spec: Spec | undefined): string {
  const ports = (spec?.ports ?? []).map(({ port, nodePort, protocol }) =>
    nodePort ? `${port}:${nodePort}/${protocol}` : `${port}/${protocol}`,
  );
  return ports.length === 0 ? '<none>' : ports.join(',');
}

export const serviceKind = defineKind<Service>({
  type: SERVICES,
  shortNames: ['svc'],
  categories: ['all'],
  storagePrefix: 'services/specs',
  strategy: {
    default: defaultService,
    prepareForCreate(service) {
      service.status = { loadBalancer: {} };
    },
    prepareForUpdate(service, old) {
      keepStatus(service, old);
      patchAllocated(service, old);
      dropTypeDependent(service, old);
    },
    validate: validateService,
    validateUpdate: validateServiceUpdate,
    validateName: nameCheck(dns1123Label),
  },
  subresources: {
    proxy: connectSubresource('ServiceProxyOptions', [
      'create',
      'delete',
      'get',
      'patch',
      'update',
    ]),
    status: statusSubresource<Service>({ prepareForUpdate: keepAllButStatus }),
  },
  columns: [
    NAME_COLUMN,
    column(
      'Type',
      'How the Service is reached: ClusterIP, NodePort, LoadBalancer or ExternalName.',
    ),
    column('Cluster-IP', 'Virtual address inside the cluster.'),
    column('External-IP', 'Addresses outside the cluster.'),
    column('Port(s)', 'Ports, with node ports where there are some.'),
    AGE_COLUMN,
    column('Selector', 'Labels of the Pods behind it.', { wide: true }),
  ],
  row: (service, now) => [
    service.metadata.name,
    service.spec?.type ?? '',
    service.spec?.clusterIPs?.[0] ?? (service.spec?.clusterIP || '<none>'),
    externalText(service),
    portsText(service.spec),
    age(service.metadata.creationTimestamp, now),
    formatLabels(service.spec?.selector),
  ],
  fieldsOf: (service) => ({
    'spec.clusterIP': service.spec?.clusterIP ?? '',
    'spec.type': service.spec?.type ?? '',
  }),
});
