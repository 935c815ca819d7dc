import { isIP } from 'node:net';
import { type FieldError, forbidden, invalid, required } from '../../api/field-errors.ts';
import { dns1123Label, qualifiedName } from '../../api/names.ts';
import type {
  APIService,
  IPAddress,
  PriorityClass,
  RuntimeClass,
  ServiceCIDR,
} from '../../api/types.ts';
import { validateCidr } from './core/node-validation.ts';
import { validateTolerations } from './pod-spec/validate-scheduling.ts';
import {
  checked,
  each,
  immutable,
  mustBeThere,
  optionalOneOf,
  quantityNotNegative,
  requiredAnd,
} from './validation.ts';

// Small kinds that belong to the cluster.

const HIGHEST_USER_PRIORITY = 1_000_000_000;
const SYSTEM_PRIORITIES: Readonly<Record<string, number>> = {
  'system-cluster-critical': 2_000_000_000,
  'system-node-critical': 2_000_001_000,
};

export function validatePriorityClass(priority: PriorityClass): FieldError[] {
  const { metadata, value = 0, globalDefault, preemptionPolicy } = priority;
  const name = metadata.name ?? '';
  const out: FieldError[] = [];
  if (name.startsWith('system-')) {
    const known = SYSTEM_PRIORITIES[name];
    if (known === undefined || known !== value || globalDefault) {
      const detail =
        "priority class names with 'system-' prefix are reserved for system use only. error: this name is not in the list of known system classes";
      out.push(forbidden('metadata.name', detail));
    }
  } else if (value > HIGHEST_USER_PRIORITY) {
    const detail = `maximum allowed value of a user defined priority is ${HIGHEST_USER_PRIORITY}`;
    out.push(forbidden('value', detail));
  }
  const policies = ['Never', 'PreemptLowerPriority'];
  return [...out, ...optionalOneOf(preemptionPolicy, policies, 'preemptionPolicy')];
}

export function validatePriorityClassUpdate(next: PriorityClass, old: PriorityClass): FieldError[] {
  const out: FieldError[] = [];
  if ((next.value ?? 0) !== (old.value ?? 0)) {
    out.push(forbidden('value', 'may not be changed in an update.'));
  }
  return [...out, ...immutable(next.preemptionPolicy, old.preemptionPolicy, 'preemptionPolicy')];
}

export function validateRuntimeClass({
  handler,
  overhead,
  scheduling,
}: RuntimeClass): FieldError[] {
  return [
    ...checked(handler, dns1123Label, 'handler'),
    ...Object.entries(overhead?.podFixed ?? {}).flatMap(([name, text]) =>
      quantityNotNegative(text, `overhead.podFixed[${name}]`),
    ),
    ...Object.keys(scheduling?.nodeSelector ?? {}).flatMap((key) =>
      checked(key, qualifiedName, 'scheduling.nodeSelector'),
    ),
    ...validateTolerations(scheduling?.tolerations, 'scheduling.tolerations'),
  ];
}

export function validateRuntimeClassUpdate(next: RuntimeClass, old: RuntimeClass): FieldError[] {
  return immutable(next.handler, old.handler, 'handler');
}

export function validateServiceCidr({ spec }: ServiceCIDR): FieldError[] {
  const cidrs = spec?.cidrs ?? [];
  const at = 'spec.cidrs';
  if (cidrs.length === 0) return [required(at, 'at least one CIDR required')];
  const out: FieldError[] = [];
  if (cidrs.length > 2) out.push(invalid(at, cidrs, 'may only hold up to 2 values'));
  const families = new Set(cidrs.map((cidr) => cidr.includes(':')));
  if (cidrs.length === 2 && families.size === 1) {
    out.push(
      invalid(
        at,
        cidrs,
        'may specify no more than one IP for each IP family, i.e 192.168.0.0/24 and 2001:db8::/96',
      ),
    );
  }
  return [...out, ...each(cidrs, at, validateCidr)];
}

export function validateServiceCidrUpdate(next: ServiceCIDR, old: ServiceCIDR): FieldError[] {
  const [now, before] = [next.spec?.cidrs ?? [], old.spec?.cidrs ?? []];
  // A range may get a partner of the other family, never another value.
  const grown = before.every((cidr, index) => now[index] === cidr) && before.length > 0;
  return grown ? validateServiceCidr(next) : immutable(now, before, 'spec.cidrs');
}

export function ipAddressName(name: string): string[] {
  return isIP(name) !== 0 && canonicalIp(name) === name
    ? []
    : ['must be a valid IP address in canonical form'];
}

/** IPv6 in the one form that RFC 5952 allows; the URL parser knows it. */
function canonicalIp(name: string): string {
  if (isIP(name) !== 6) return name;
  return new URL(`http://[${name}]/`).hostname.slice(1, -1);
}

export function validateIpAddress({ spec }: IPAddress): FieldError[] {
  const ref = spec?.parentRef;
  const at = 'spec.parentRef';
  if (!ref) return [required(at)];
  return [
    ...requiredAnd(ref.resource, () => [], `${at}.resource`),
    ...mustBeThere(ref.name, `${at}.name`),
  ];
}

export function validateIpAddressUpdate(next: IPAddress, old: IPAddress): FieldError[] {
  return [
    ...validateIpAddress(next),
    ...immutable(next.spec?.parentRef, old.spec?.parentRef, 'spec.parentRef'),
  ];
}

const MAX_GROUP_PRIORITY = 20_000;
const MAX_VERSION_PRIORITY = 1000;

export function validateApiService({ metadata, spec }: APIService): FieldError[] {
  if (!spec) return [required('spec')];
  const out: FieldError[] = [];
  const { group = '', version = '', service, groupPriorityMinimum, versionPriority } = spec;
  const name = `${version}.${group}`;
  if (metadata.name !== name) {
    out.push(
      invalid(
        'metadata.name',
        metadata.name,
        `must be \`spec.version+"."+spec.group\`: ${JSON.stringify(name)}`,
      ),
    );
  }
  out.push(...requiredAnd(version, dns1123Label, 'spec.version'));
  if (groupPriorityMinimum <= 0 || groupPriorityMinimum > MAX_GROUP_PRIORITY) {
    const detail = 'must be positive and less than 20000';
    out.push(invalid('spec.groupPriorityMinimum', groupPriorityMinimum, detail));
  }
  if (versionPriority <= 0 || versionPriority > MAX_VERSION_PRIORITY) {
    const detail = 'must be positive and less than 1000';
    out.push(invalid('spec.versionPriority', versionPriority, detail));
  }
  if (!service) {
    if (spec.caBundle)
      out.push(
        invalid(
          'spec.caBundle',
          `${spec.caBundle.length} bytes`,
          'local APIServices may not have a caBundle',
        ),
      );
    if (spec.insecureSkipTLSVerify) {
      out.push(
        invalid(
          'spec.insecureSkipTLSVerify',
          true,
          'local APIServices may not have insecureSkipTLSVerify',
        ),
      );
    }
    return out;
  }
  out.push(
    ...mustBeThere(service.namespace, 'spec.service.namespace'),
    ...mustBeThere(service.name, 'spec.service.name'),
  );
  if (spec.insecureSkipTLSVerify && spec.caBundle) {
    out.push(invalid('spec.insecureSkipTLSVerify', true, 'may not be true if caBundle is present'));
  }
  return out;
}
