import type { Service } from '../api/types.ts';
import { familyOf } from '../util/ip.ts';
import type { IpFamily, Protocol, ServicePortSpec } from './model.ts';

/** Services that carry it are routed by another proxy. */
const SERVICE_PROXY_NAME = 'service.kubernetes.io/service-proxy-name';
const DEFAULT_AFFINITY_SECONDS = 10_800;

export interface ServicePortOptions {
  /** Whether spec.externalIPs is honoured: any user who may write a Service could catch foreign traffic by it. */
  readonly allowExternalIPs: boolean;
}

/** The ports of a Service that this family routes; none for headless, ExternalName and foreign services. Pure. */
export function servicePortsOf(
  service: Service,
  family: IpFamily,
  options: ServicePortOptions,
): ServicePortSpec[] {
  const { spec, metadata } = service;
  if (!spec || spec.type === 'ExternalName') return [];
  if (metadata.labels?.[SERVICE_PROXY_NAME] !== undefined) return [];
  const clusterIP = clusterIpOf(service, family);
  if (clusterIP === undefined) return [];
  const base = `${metadata.namespace}/${metadata.name}`;
  const shared = {
    namespace: metadata.namespace,
    service: metadata.name,
    family,
    clusterIP,
    externalIPs: options.allowExternalIPs ? ofFamily(spec.externalIPs, family) : [],
    loadBalancerIPs: loadBalancerIPs(service, family),
    sourceRanges: ofFamily(spec.loadBalancerSourceRanges, family),
    affinitySeconds: affinitySeconds(service),
    internalLocal: spec.internalTrafficPolicy === 'Local',
    externalLocal: spec.externalTrafficPolicy === 'Local',
    healthCheckNodePort: spec.healthCheckNodePort ?? 0,
  };
  return (spec.ports ?? []).map((port) => {
    const portName = port.name ?? '';
    const protocol = protocolOf(port.protocol);
    const name = portName === '' ? base : `${base}:${portName}`;
    const { port: number, nodePort = 0 } = port;
    return {
      ...shared,
      id: `${name}/${protocol}`,
      name,
      portName,
      protocol,
      port: number,
      nodePort,
    };
  });
}

export function protocolOf(protocol: string | undefined): Protocol {
  return protocol === 'UDP' || protocol === 'SCTP' ? protocol : 'TCP';
}

function clusterIpOf({ spec }: Service, family: IpFamily): string | undefined {
  const candidates = spec?.clusterIPs?.length ? spec.clusterIPs : [spec?.clusterIP ?? ''];
  return candidates.find((ip) => familyOf(ip) === family);
}

function ofFamily(list: readonly string[] | undefined, family: IpFamily): string[] {
  return (list ?? []).map((entry) => entry.trim()).filter((entry) => familyOf(entry) === family);
}

function loadBalancerIPs({ spec, status }: Service, family: IpFamily): string[] {
  if (spec?.type !== 'LoadBalancer') return [];
  const ips = (status?.loadBalancer?.ingress ?? [])
    .filter(({ ipMode }) => ipMode === undefined || ipMode === 'VIP')
    .map(({ ip }) => ip ?? '');
  return ofFamily(ips, family);
}

function affinitySeconds({ spec }: Service): number | undefined {
  if (spec?.sessionAffinity !== 'ClientIP') return undefined;
  return spec.sessionAffinityConfig?.clientIP?.timeoutSeconds ?? DEFAULT_AFFINITY_SECONDS;
}
