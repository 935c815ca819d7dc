import {
  duplicate,
  type FieldError,
  forbidden,
  invalid,
  required,
} from '../../../api/field-errors.ts';
import { validateAnnotations, validateLabels } from '../../../api/metadata-validation.ts';
import {
  dns1123Label,
  dns1123Subdomain,
  inRange,
  looseSubdomain,
  qualifiedName,
} from '../../../api/names.ts';
import type { PodSpec, PodTemplateSpec } from '../../../api/types.ts';
import {
  checked,
  each,
  mustBeThere,
  notFound,
  notNegative,
  oneOf,
  quantityNotNegative,
  repeated,
  requiredAnd,
  validateIp,
  within,
} from '../validation.ts';
import { validateContainers } from './validate-container.ts';
import { validateOs } from './validate-os.ts';
import { validateResourceName, validateResources } from './validate-resources.ts';
import { validateAffinity, validateSpread, validateTolerations } from './validate-scheduling.ts';
import { validatePodSecurityContext } from './validate-security.ts';
import { validateVolumes } from './validate-volume.ts';
import { validateWindows } from './validate-windows.ts';

const RESTART_POLICIES = ['Always', 'OnFailure', 'Never'];
const DNS_POLICIES = ['ClusterFirstWithHostNet', 'ClusterFirst', 'Default', 'None'];
const MAX_DEADLINE = 2_147_483_647;

/** What a PodSpec must satisfy wherever it stands (core validation ValidatePodSpec). */
export function validatePodSpec(spec: PodSpec, path: string): FieldError[] {
  return [
    ...validateVolumes(spec.volumes ?? [], `${path}.volumes`),
    ...validateContainers(spec, path),
    ...oneOf(spec.restartPolicy, RESTART_POLICIES, `${path}.restartPolicy`),
    ...oneOf(spec.dnsPolicy, DNS_POLICIES, `${path}.dnsPolicy`),
    ...validateLabels(spec.nodeSelector, `${path}.nodeSelector`),
    ...validateHost(spec, path),
    ...validateOs(spec, path),
    ...validateWindows(spec, path),
    ...validatePodSecurityContext(spec.securityContext, `${path}.securityContext`),
    ...validateAffinity(spec.affinity, `${path}.affinity`),
    ...validateDns(spec, path),
    ...validateGates(spec, path),
    ...validateSpread(spec.topologySpreadConstraints, `${path}.topologySpreadConstraints`),
    ...validateNames(spec, path),
    ...validateTimes(spec, path),
    ...validateTolerations(spec.tolerations, `${path}.tolerations`),
    ...validateHostAliases(spec, path),
    ...validateResources(spec.resources, `${path}.resources`),
    ...validateOverhead(spec, path),
    ...validateClaims(spec, path),
  ];
}

/** Names of other objects and of the Pod itself. */
function validateNames(spec: PodSpec, path: string): FieldError[] {
  const out: FieldError[] = [];
  for (const part of [
    'serviceAccountName',
    'nodeName',
    'priorityClassName',
    'runtimeClassName',
    'schedulerName',
  ] as const) {
    const name = spec[part];
    if (!name) continue;
    out.push(
      ...checked(
        name,
        part === 'schedulerName' ? qualifiedName : dns1123Subdomain,
        `${path}.${part}`,
      ),
    );
  }
  for (const part of ['hostname', 'subdomain'] as const) {
    const name = spec[part];
    if (name) out.push(...checked(name, dns1123Label, `${path}.${part}`));
  }
  for (const [index, { name }] of (spec.imagePullSecrets ?? []).entries()) {
    out.push(...mustBeThere(name, `${path}.imagePullSecrets[${index}].name`));
  }
  return out;
}

function validateTimes(spec: PodSpec, path: string): FieldError[] {
  const out: FieldError[] = [];
  const { activeDeadlineSeconds: deadline, terminationGracePeriodSeconds: grace } = spec;
  if (deadline !== undefined) {
    out.push(
      ...within(deadline, inRange(deadline, 1, MAX_DEADLINE), `${path}.activeDeadlineSeconds`),
    );
  }
  if (grace === undefined) out.push(required(`${path}.terminationGracePeriodSeconds`));
  // A negative grace period is read as one second (upstream kept it valid).
  return out;
}

/** What a Pod with users of its own cannot share with its node, and what upstream calls the field. */
const HOST_PARTS = [
  ['hostNetwork', 'hostNetwork'],
  ['hostPID', 'HostPID'],
  ['hostIPC', 'HostIPC'],
] as const;

function validateHost(spec: PodSpec, path: string): FieldError[] {
  const out: FieldError[] = [];
  if (spec.shareProcessNamespace && spec.hostPID) {
    const detail = 'ShareProcessNamespace and HostPID cannot both be enabled';
    out.push(invalid(`${path}.shareProcessNamespace`, true, detail));
  }
  if (spec.hostUsers === false) {
    for (const [part, field] of HOST_PARTS) {
      if (!spec[part]) continue;
      out.push(forbidden(`${path}.${field}`, 'when `pod.Spec.HostUsers` is false'));
    }
  }
  if (spec.preemptionPolicy) {
    const policies = ['Never', 'PreemptLowerPriority'];
    out.push(...oneOf(spec.preemptionPolicy, policies, `${path}.preemptionPolicy`));
  }
  if (spec.hostnameOverride) {
    const field = `${path}.hostnameOverride`;
    out.push(...checked(spec.hostnameOverride, dns1123Subdomain, field));
    if (spec.hostNetwork)
      out.push(forbidden(field, 'may not be specified when hostNetwork is true'));
    if (spec.setHostnameAsFQDN) {
      out.push(
        forbidden(`${path}.setHostnameAsFQDN`, 'may not be specified when hostnameOverride is set'),
      );
    }
  }
  return out;
}

const MAX_NAMESERVERS = 3;
const MAX_SEARCHES = 32;
const MAX_SEARCH_CHARACTERS = 2048;

function validateDns(spec: PodSpec, path: string): FieldError[] {
  const { nameservers = [], searches = [], options } = spec.dnsConfig ?? {};
  const at = `${path}.dnsConfig`;
  const out: FieldError[] = [];
  if (spec.dnsPolicy === 'None' && !spec.dnsConfig) {
    out.push(required(at, 'must provide `dnsConfig` when `dnsPolicy` is None'));
  } else if (spec.dnsPolicy === 'None' && nameservers.length === 0) {
    const detail = 'must provide at least one DNS nameserver when `dnsPolicy` is None';
    out.push(required(`${at}.nameservers`, detail));
  }
  return [
    ...out,
    ...validateNameservers(nameservers, `${at}.nameservers`),
    ...validateSearches(searches, `${at}.searches`),
    ...each(options, `${at}.options`, ({ name }, where) =>
      name ? [] : [required(where, 'must not be empty')],
    ),
  ];
}

function validateNameservers(nameservers: readonly string[], path: string): FieldError[] {
  const out = each(nameservers, path, (server, at) => validateIp(server, at));
  if (nameservers.length <= MAX_NAMESERVERS) return out;
  const detail = `must not have more than ${MAX_NAMESERVERS} nameservers`;
  return [invalid(path, nameservers, detail), ...out];
}

function validateSearches(searches: readonly string[], path: string): FieldError[] {
  const out: FieldError[] = [];
  if (searches.length > MAX_SEARCHES) {
    out.push(invalid(path, searches, `must not have more than ${MAX_SEARCHES} search paths`));
  }
  if (searches.join(' ').length > MAX_SEARCH_CHARACTERS) {
    const detail = `must not have more than ${MAX_SEARCH_CHARACTERS} characters (including spaces) in the search list`;
    out.push(invalid(path, searches, detail));
  }
  const names = each(searches, path, (search, at) => {
    if (search === '.') return [];
    return checked(search.replace(/\.$/, ''), looseSubdomain, at);
  });
  return [...out, ...names];
}

function validateGates(spec: PodSpec, path: string): FieldError[] {
  const out: FieldError[] = [];
  for (const [i, { conditionType }] of (spec.readinessGates ?? []).entries()) {
    out.push(
      ...checked(conditionType, qualifiedName, `${path}.readinessGates[${i}].conditionType`),
    );
  }
  const gates = spec.schedulingGates ?? [];
  const doubles = repeated(gates, (gate) => gate.name);
  for (const [i, { name }] of gates.entries()) {
    const at = `${path}.schedulingGates[${i}]`;
    out.push(...checked(name, qualifiedName, at));
    if (doubles.has(i)) out.push(duplicate(at, name));
  }
  return out;
}

function validateHostAliases(spec: PodSpec, path: string): FieldError[] {
  return each(spec.hostAliases, `${path}.hostAliases`, ({ ip, hostnames }, at) => [
    ...validateIp(ip, `${at}.ip`),
    ...(hostnames ?? []).flatMap((name) => checked(name, dns1123Subdomain, `${at}.hostnames`)),
  ]);
}

function validateOverhead(spec: PodSpec, path: string): FieldError[] {
  return Object.entries(spec.overhead ?? {}).flatMap(([name, text]) => [
    ...validateResourceName(name, `${path}.overhead`),
    ...quantityNotNegative(text, `${path}.overhead[${name}]`),
  ]);
}

function validateClaims(spec: PodSpec, path: string): FieldError[] {
  const claims = spec.resourceClaims ?? [];
  const doubles = repeated(claims, (claim) => claim.name);
  const names = new Set(claims.map((claim) => claim.name));
  return [
    ...each(claims, `${path}.resourceClaims`, (claim, at, index) => [
      ...requiredAnd(claim.name, dns1123Label, `${at}.name`),
      ...(doubles.has(index) ? [duplicate(`${at}.name`, claim.name)] : []),
      ...validateClaimSource(claim, at),
    ]),
    ...each(spec.containers, `${path}.containers`, (container, at) =>
      each(container.resources?.claims, `${at}.resources.claims`, ({ name }, where) =>
        names.has(name) ? [] : [notFound(name, `${where}.name`)],
      ),
    ),
  ];
}

function validateClaimSource(
  claim: NonNullable<PodSpec['resourceClaims']>[number],
  at: string,
): FieldError[] {
  const { resourceClaimName, resourceClaimTemplateName } = claim;
  if (resourceClaimName && resourceClaimTemplateName) {
    const detail =
      'at most one of `resourceClaimName` or `resourceClaimTemplateName` may be specified';
    return [invalid(at, claim, detail)];
  }
  if (resourceClaimName || resourceClaimTemplateName) return [];
  return [required(at, 'must specify one of: `resourceClaimName`, `resourceClaimTemplateName`')];
}

/** A Pod template: labels, annotations and a spec without what belongs to one Pod alone. */
export function validatePodTemplate(
  template: PodTemplateSpec | undefined,
  path: string,
): FieldError[] {
  if (!template) return [required(path)];
  const { metadata, spec } = template;
  const out = [
    ...validateLabels(metadata?.labels, `${path}.labels`),
    ...validateAnnotations(metadata?.annotations, `${path}.annotations`),
  ];
  if (!spec) return [...out, required(`${path}.spec.containers`)];
  out.push(...validatePodSpec(spec, `${path}.spec`));
  if (spec.ephemeralContainers?.length) {
    out.push(
      forbidden(
        `${path}.spec.ephemeralContainers`,
        'ephemeral containers not allowed in pod template',
      ),
    );
  }
  return out;
}

/** How many times a workload may be wanted. */
export function validateReplicas(replicas: number | undefined, field: string): FieldError[] {
  return replicas === undefined ? [required(field)] : notNegative(replicas, field);
}
