import { type FieldError, forbidden, invalid, required } from '../../../api/field-errors.ts';
import {
  dns1123Label,
  dns1123Subdomain,
  portName,
  portNumber,
  wildcardSubdomain,
} from '../../../api/names.ts';
import type { Ingress, IngressClass, NetworkPolicy } from '../../../api/types.ts';
import { cidrContains } from '../../../util/ip.ts';
import { validateCidr } from '../core/node-validation.ts';
import { validatePort } from '../pod-spec/validate-probe.ts';
import {
  checked,
  each,
  immutable,
  mustBeThere,
  oneOf,
  requiredAnd,
  validateIp,
  validateLabelSelector,
  within,
} from '../validation.ts';

type Backend = NonNullable<NonNullable<Ingress['spec']>['defaultBackend']>;
type Path = NonNullable<
  NonNullable<NonNullable<Ingress['spec']>['rules']>[number]['http']
>['paths'][number];

const PATH_TYPES = ['Exact', 'Prefix', 'ImplementationSpecific'];

export function validateIngress({ spec }: Ingress): FieldError[] {
  const out: FieldError[] = [];
  if (!spec?.rules?.length && !spec?.defaultBackend) {
    out.push(invalid('spec', {}, 'either `defaultBackend` or `rules` must be specified'));
  }
  if (spec?.defaultBackend)
    out.push(...validateBackend(spec.defaultBackend, 'spec.defaultBackend'));
  if (spec?.ingressClassName !== undefined) {
    out.push(...checked(spec.ingressClassName, dns1123Subdomain, 'spec.ingressClassName'));
  }
  return [
    ...out,
    ...each(spec?.rules, 'spec.rules', ({ host, http }, at) => [
      ...(host ? validateHost(host, `${at}.host`) : []),
      ...(http
        ? [
            ...mustBeThere(http.paths, `${at}.http.paths`),
            ...each(http.paths, `${at}.http.paths`, validatePath),
          ]
        : []),
    ]),
    ...each(spec?.tls, 'spec.tls', ({ hosts, secretName }, at) => [
      ...each(hosts, `${at}.hosts`, (host, where) => validateHost(host, where)),
      ...(secretName ? checked(secretName, dns1123Subdomain, `${at}.secretName`) : []),
    ]),
  ];
}

function validateHost(host: string, field: string): FieldError[] {
  if (validateIp(host, field).length === 0) {
    return [invalid(field, host, 'must be a DNS name, not an IP address')];
  }
  return checked(host, host.includes('*') ? wildcardSubdomain : dns1123Subdomain, field);
}

const BAD_SEQUENCES = ['//', '/./', '/../', '%2f', '%2F'];
const BAD_SUFFIXES = ['/..', '/.'];

function validatePath({ path = '', pathType, backend }: Path, at: string): FieldError[] {
  if (!pathType) return [required(`${at}.pathType`, 'pathType must be specified')];
  if (!PATH_TYPES.includes(pathType)) return oneOf(pathType, PATH_TYPES, `${at}.pathType`);
  const free = pathType === 'ImplementationSpecific';
  return [
    ...(free && path === '' ? [] : absolute(path, `${at}.path`)),
    ...(free ? [] : plainPath(path, `${at}.path`)),
    ...validateBackend(backend, `${at}.backend`),
  ];
}

function absolute(path: string, field: string): FieldError[] {
  return path.startsWith('/') ? [] : [invalid(field, path, 'must be an absolute path')];
}

/** Nothing in the path that servers would read in different ways. */
function plainPath(path: string, field: string): FieldError[] {
  return [
    ...BAD_SEQUENCES.filter((text) => path.includes(text)).map((text) =>
      invalid(field, path, `must not contain '${text}'`),
    ),
    ...BAD_SUFFIXES.filter((text) => path.endsWith(text)).map((text) =>
      invalid(field, path, `cannot end with '${text}'`),
    ),
  ];
}

function validateBackend({ service, resource }: Backend, at: string): FieldError[] {
  if (resource && service) {
    return [invalid(at, '', 'cannot set both resource and service backends')];
  }
  if (resource) {
    return [
      ...mustBeThere(resource.kind, `${at}.resource.kind`),
      ...mustBeThere(resource.name, `${at}.resource.name`),
    ];
  }
  if (!service) return [required(at, 'resource or service backend is required')];
  const out = requiredAnd(service.name, dns1123Label, `${at}.service.name`);
  const { name, number } = service.port ?? {};
  const field = `${at}.service.port`;
  if (name && number) return [...out, invalid(at, '', 'cannot set both port name & port number')];
  if (name) return [...out, ...checked(name, portName, `${field}.name`)];
  if (number) return [...out, ...within(number, portNumber(number), `${field}.number`)];
  return [...out, required(at, 'port name or number is required')];
}

export function validateIngressClass({ spec }: IngressClass): FieldError[] {
  const controller = spec?.controller ?? '';
  const out: FieldError[] = [];
  if (controller === '') out.push(required('spec.controller'));
  else if (!/^[^/]+\/.+$/.test(controller)) {
    const detail = 'must be a domain-prefixed path (such as "acme.io/foo")';
    out.push(invalid('spec.controller', controller, detail));
  }
  const parameters = spec?.parameters;
  if (!parameters) return out;
  const at = 'spec.parameters';
  out.push(
    ...mustBeThere(parameters.kind, `${at}.kind`),
    ...mustBeThere(parameters.name, `${at}.name`),
  );
  out.push(...oneOf(parameters.scope, ['Cluster', 'Namespace'], `${at}.scope`));
  if (parameters.scope === 'Namespace' && !parameters.namespace) {
    out.push(required(`${at}.namespace`, "`parameters.scope` is set to 'Namespace'"));
  }
  if (parameters.scope === 'Cluster' && parameters.namespace) {
    out.push(forbidden(`${at}.namespace`, "`parameters.scope` is set to 'Cluster'"));
  }
  return out;
}

export function validateIngressClassUpdate(next: IngressClass, old: IngressClass): FieldError[] {
  return immutable(next.spec?.controller, old.spec?.controller, 'spec.controller');
}

/** What is left out of a block lies in it, and is not all of it. */
function validateExcept(range: string, block: string, field: string): FieldError[] {
  const out = validateCidr(range, field);
  if (out.length > 0 || validateCidr(block, '').length > 0) return out;
  const bitsOf = (cidr: string) => Number(cidr.split('/')[1]);
  const inside = cidrContains(block, range.split('/')[0] ?? '') && bitsOf(range) > bitsOf(block);
  return inside ? [] : [invalid(field, range, 'must be a strict subset of `cidr`')];
}

export function validateNetworkPolicy({ spec }: NetworkPolicy): FieldError[] {
  const { podSelector, ingress, egress, policyTypes = [] } = spec ?? {};
  const out = validateLabelSelector(podSelector, 'spec.podSelector');
  out.push(
    ...each(ingress, 'spec.ingress', (rule, at) => [
      ...each(rule.ports, `${at}.ports`, validatePolicyPort),
      ...each(rule.from, `${at}.from`, validatePeer),
    ]),
    ...each(egress, 'spec.egress', (rule, at) => [
      ...each(rule.ports, `${at}.ports`, validatePolicyPort),
      ...each(rule.to, `${at}.to`, validatePeer),
    ]),
  );
  if (policyTypes.length > 2) {
    out.push(invalid('spec.policyTypes', policyTypes, 'may not specify more than two policyTypes'));
  }
  return [
    ...out,
    ...each(policyTypes, 'spec.policyTypes', (type, at) => oneOf(type, ['Egress', 'Ingress'], at)),
  ];
}

interface PolicyPort {
  port?: number | string | undefined;
  endPort?: number | undefined;
  protocol?: string | undefined;
}

function validatePolicyPort({ port, endPort, protocol }: PolicyPort, at: string): FieldError[] {
  const out = protocol ? oneOf(protocol, ['SCTP', 'TCP', 'UDP'], `${at}.protocol`) : [];
  if (port !== undefined) out.push(...validatePort(port, `${at}.port`));
  if (endPort === undefined) return out;
  const field = `${at}.endPort`;
  if (port === undefined)
    out.push(invalid(field, endPort, 'may not be specified when `port` is not specified'));
  else if (typeof port === 'string') {
    out.push(invalid(field, endPort, 'may not be specified when `port` is non-numeric'));
  } else if (endPort < port) {
    out.push(invalid(field, endPort, 'must be greater than or equal to `port`'));
  }
  return [...out, ...within(endPort, portNumber(endPort), field)];
}

interface PolicyPeer {
  podSelector?: Parameters<typeof validateLabelSelector>[0];
  namespaceSelector?: Parameters<typeof validateLabelSelector>[0];
  ipBlock?: { cidr: string; except?: string[] | undefined } | undefined;
}

function validatePeer(peer: PolicyPeer, at: string): FieldError[] {
  const { podSelector, namespaceSelector, ipBlock } = peer;
  if (!podSelector && !namespaceSelector && !ipBlock) {
    return [required(at, 'must specify a peer')];
  }
  if (ipBlock && (podSelector || namespaceSelector)) {
    return [forbidden(at, 'may not specify both ipBlock and another peer')];
  }
  return [
    ...validateLabelSelector(podSelector, `${at}.podSelector`),
    ...validateLabelSelector(namespaceSelector, `${at}.namespaceSelector`),
    ...(ipBlock
      ? [
          ...validateCidr(ipBlock.cidr, `${at}.ipBlock.cidr`),
          ...each(ipBlock.except, `${at}.ipBlock.except`, (range, where) =>
            validateExcept(range, ipBlock.cidr, where),
          ),
        ]
      : []),
  ];
}
