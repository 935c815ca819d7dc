import {
  duplicate,
  type FieldError,
  forbidden,
  invalid,
  required,
} from '../../../api/field-errors.ts';
import { validateLabels } from '../../../api/metadata-validation.ts';
import {
  dns1123Label,
  dns1123Subdomain,
  inRange,
  portNumber,
  qualifiedName,
} from '../../../api/names.ts';
import type { Service } from '../../../api/types.ts';
import { validatePort } from '../pod-spec/validate-probe.ts';
import {
  checked,
  each,
  immutable,
  mustBeThere,
  oneOf,
  optionalOneOf,
  repeated,
  validateIp,
  within,
} from '../validation.ts';
import { validateCidr } from './node-validation.ts';
import { validateEndpointIp } from './small-validation.ts';

type Spec = NonNullable<Service['spec']>;
type Port = NonNullable<Spec['ports']>[number];

const TYPES = ['ClusterIP', 'ExternalName', 'LoadBalancer', 'NodePort'];
const MAX_SESSION_SECONDS = 86_400;

export function validateService(service: Service): FieldError[] {
  const spec = service.spec;
  if (!spec) return [required('spec')];
  return [
    ...validatePortsOf(spec),
    ...validateByType(spec),
    ...oneOf(spec.type, TYPES, 'spec.type'),
    ...validateLabels(spec.selector, 'spec.selector'),
    ...validateSession(spec),
    ...each(spec.externalIPs, 'spec.externalIPs', validateEndpointIp),
    ...validateClusterIps(spec),
    ...validateTraffic(spec),
    ...validateLoadBalancer(spec),
  ];
}

function validateByType(spec: Spec): FieldError[] {
  const headless = spec.clusterIP === 'None';
  if (spec.type === 'LoadBalancer' && headless) {
    return [
      invalid(
        'spec.clusterIPs[0]',
        spec.clusterIP,
        "may not be set to 'None' for LoadBalancer services",
      ),
    ];
  }
  if (spec.type === 'NodePort' && headless) {
    return [
      invalid(
        'spec.clusterIPs[0]',
        spec.clusterIP,
        "may not be set to 'None' for NodePort services",
      ),
    ];
  }
  if (spec.type !== 'ExternalName') return [];
  const out: FieldError[] = [];
  for (const part of ['clusterIPs', 'ipFamilies'] as const) {
    if (spec[part]?.length) {
      out.push(forbidden(`spec.${part}`, 'may not be set for ExternalName services'));
    }
  }
  if (spec.ipFamilyPolicy !== undefined) {
    out.push(forbidden('spec.ipFamilyPolicy', 'may not be set for ExternalName services'));
  }
  const name = (spec.externalName ?? '').replace(/\.$/, '');
  if (name === '') return [...out, required('spec.externalName')];
  return [...out, ...checked(name, dns1123Subdomain, 'spec.externalName')];
}

function validatePortsOf(spec: Spec): FieldError[] {
  const ports = spec.ports ?? [];
  const out: FieldError[] = [];
  const optional = spec.type === 'ExternalName' || spec.clusterIP === 'None';
  if (ports.length === 0 && !optional) out.push(required('spec.ports'));
  const names = repeated(ports, (p) => p.name);
  out.push(
    ...each(ports, 'spec.ports', (port, at, index) => {
      const double = names.get(index);
      return [
        ...(double === undefined ? [] : [duplicate(`${at}.name`, double)]),
        ...validateServicePort(port, ports.length > 1, at),
        ...validateNodePort(port, spec, at),
      ];
    }),
  );
  return [...out, ...samePorts(ports)];
}

function validateServicePort(port: Port, needsName: boolean, at: string): FieldError[] {
  return [
    ...(needsName ? mustBeThere(port.name, `${at}.name`) : []),
    ...(port.name ? checked(port.name, dns1123Label, `${at}.name`) : []),
    ...within(port.port, portNumber(port.port), `${at}.port`),
    ...oneOf(port.protocol, ['SCTP', 'TCP', 'UDP'], `${at}.protocol`),
    ...validatePort(port.targetPort ?? 0, `${at}.targetPort`),
    ...(port.appProtocol ? checked(port.appProtocol, qualifiedName, `${at}.appProtocol`) : []),
  ];
}

function validateNodePort({ nodePort }: Port, spec: Spec, at: string): FieldError[] {
  if (!nodePort) return [];
  const field = `${at}.nodePort`;
  if (spec.type === 'ClusterIP' || spec.type === 'ExternalName') {
    return [forbidden(field, "may not be used when `type` is 'ClusterIP'")];
  }
  return within(nodePort, portNumber(nodePort), field);
}

/** The same port twice, by number and protocol, or by node port and protocol. */
function samePorts(ports: readonly Port[]): FieldError[] {
  const byPort = repeated(ports, (p) => `${p.port}/${p.protocol}`);
  const byNode = repeated(ports, (p) => (p.nodePort ? `${p.nodePort}/${p.protocol}` : undefined));
  return each(ports, 'spec.ports', ({ name, port, protocol, nodePort }, at, index) => [
    ...(byNode.has(index) ? [duplicate(`${at}.nodePort`, { protocol, nodePort, name })] : []),
    ...(byPort.has(index) ? [duplicate(at, { protocol, port })] : []),
  ]);
}

function validateSession(spec: Spec): FieldError[] {
  const out = oneOf(spec.sessionAffinity, ['ClientIP', 'None'], 'spec.sessionAffinity');
  const field = 'spec.sessionAffinityConfig';
  const config = spec.sessionAffinityConfig;
  if (spec.sessionAffinity === 'None') {
    if (config) out.push(forbidden(field, 'must not be set when session affinity is None'));
    return out;
  }
  if (spec.sessionAffinity !== 'ClientIP') return out;
  const seconds = config?.clientIP?.timeoutSeconds;
  const at = `${field}.clientIP.timeoutSeconds`;
  if (seconds === undefined) return [...out, required(at)];
  const ok = inRange(seconds, 1, MAX_SESSION_SECONDS).length === 0;
  const detail = `must be greater than 0 and less than ${MAX_SESSION_SECONDS}`;
  return ok ? out : [...out, invalid(at, seconds, detail)];
}

function validateClusterIps(spec: Spec): FieldError[] {
  if (spec.type === 'ExternalName') return [];
  const { clusterIP = '', clusterIPs = [], ipFamilies, ipFamilyPolicy } = spec;
  const out: FieldError[] = [];
  if (clusterIPs.length > 0 && clusterIP !== '' && clusterIPs[0] !== clusterIP) {
    out.push(invalid('spec.clusterIPs', clusterIPs, 'first value must match `clusterIP`'));
  }
  if (clusterIPs.length > 2) {
    out.push(invalid('spec.clusterIPs', clusterIPs, 'may only hold up to 2 values'));
  }
  out.push(
    ...each(clusterIPs, 'spec.clusterIPs', (ip, at, index) => {
      if (ip !== 'None') return ip === '' ? [] : validateIp(ip, at);
      const alone = index === 0 && clusterIPs.length === 1;
      return alone
        ? []
        : [invalid('spec.clusterIPs', ip, "'None' must be the first and only value")];
    }),
  );
  if (clusterIPs.length === 0 && clusterIP !== '' && clusterIP !== 'None') {
    out.push(...validateIp(clusterIP, 'spec.clusterIP'));
  }
  const policies = ['PreferDualStack', 'RequireDualStack', 'SingleStack'];
  out.push(...optionalOneOf(ipFamilyPolicy, policies, 'spec.ipFamilyPolicy'));
  return [
    ...out,
    ...each(ipFamilies, 'spec.ipFamilies', (family, at) => oneOf(family, ['IPv4', 'IPv6'], at)),
  ];
}

function validateTraffic(spec: Spec): FieldError[] {
  const out: FieldError[] = [];
  const policies = ['Cluster', 'Local'];
  const external = spec.type === 'NodePort' || spec.type === 'LoadBalancer';
  const reachable = external || Boolean(spec.externalIPs?.length);
  if (spec.externalTrafficPolicy !== undefined && !reachable) {
    const detail = 'may only be set for externally-accessible services';
    out.push(invalid('spec.externalTrafficPolicy', spec.externalTrafficPolicy, detail));
  } else {
    out.push(...optionalOneOf(spec.externalTrafficPolicy, policies, 'spec.externalTrafficPolicy'));
  }
  out.push(...optionalOneOf(spec.internalTrafficPolicy, policies, 'spec.internalTrafficPolicy'));
  const near = ['PreferClose', 'PreferSameNode', 'PreferSameZone'];
  out.push(...optionalOneOf(spec.trafficDistribution, near, 'spec.trafficDistribution'));
  const health = spec.healthCheckNodePort ?? 0;
  if (health !== 0 && (spec.type !== 'LoadBalancer' || spec.externalTrafficPolicy !== 'Local')) {
    const detail =
      "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'";
    out.push(invalid('spec.healthCheckNodePort', health, detail));
  }
  return out;
}

function validateLoadBalancer(spec: Spec): FieldError[] {
  const ranges = spec.loadBalancerSourceRanges;
  const field = 'spec.LoadBalancerSourceRanges';
  // Spaces around them were allowed once, and stay so.
  const out = each(ranges, field, (range, at) => validateCidr(range.trim(), at));
  if (spec.type === 'LoadBalancer') return out;
  for (const part of ['loadBalancerClass', 'allocateLoadBalancerNodePorts'] as const) {
    if (spec[part] === undefined) continue;
    out.push(forbidden(`spec.${part}`, "may only be used when `type` is 'LoadBalancer'"));
  }
  if (ranges?.length) {
    out.unshift(forbidden(field, "may only be used when `type` is 'LoadBalancer'"));
  }
  return out;
}

export function validateServiceUpdate(service: Service, old: Service): FieldError[] {
  const [spec, was] = [service.spec, old.spec];
  const out = validateService(service);
  if (!spec || !was) return out;
  const stays = spec.type !== 'ExternalName' && was.type !== 'ExternalName';
  const given = was.clusterIPs?.[0] ?? was.clusterIP;
  if (stays && given) {
    const field = 'spec.clusterIPs[0]';
    out.push(...immutable(spec.clusterIPs?.[0] ?? spec.clusterIP, given, field));
  }
  return out;
}
