import { type Amounts, add, amountsOf, podAmounts } from './pod-resources.ts';
import { isPodTerminal, qosClassOf } from './pods.ts';
import { compareQuantities, formatQuantity, parseQuantity, quantityOf } from './quantity.ts';
import type { PersistentVolumeClaim, Pod, ResourceClaim, ResourceQuota, Service } from './types.ts';

/** Which kind an object is of; the version does not matter. */
export interface CountedType {
  readonly group: string;
  readonly resource: string;
}

type ScopeTerm = NonNullable<
  NonNullable<NonNullable<ResourceQuota['spec']>['scopeSelector']>['matchExpressions']
>[number];

const ONE = quantityOf(1);
/** Kinds that may also be counted by their bare name, from before `count/` (core/v1 ResourceName). */
const BARE = new Set([
  'configmaps',
  'persistentvolumeclaims',
  'replicationcontrollers',
  'resourcequotas',
  'secrets',
  'services',
]);
const STORAGE_CLASS = '.storageclass.storage.k8s.io/';
const DEVICE_CLASS = '.deviceclass.resource.k8s.io/devices';

/** `count/deployments.apps`, `count/pods`: the quota name of the number of objects of a kind. */
export function countName({ group, resource }: CountedType): string {
  return group === '' ? `count/${resource}` : `count/${resource}.${group}`;
}

/** The kind whose objects a quota name counts or sums up; undefined for a name that nothing uses. */
export function countedType(name: string): CountedType | undefined {
  if (name.startsWith('count/')) {
    const [resource = '', ...group] = name.slice('count/'.length).split('.');
    return { resource, group: group.join('.') };
  }
  if (name.startsWith('services.')) return { group: '', resource: 'services' };
  if (BARE.has(name)) return { group: '', resource: name };
  if (name === 'requests.storage' || name.includes(STORAGE_CLASS)) {
    return { group: '', resource: 'persistentvolumeclaims' };
  }
  if (name.endsWith(DEVICE_CLASS)) {
    return { group: 'resource.k8s.io', resource: 'resourceclaims' };
  }
  return name === 'pods' || isCompute(name) ? { group: '', resource: 'pods' } : undefined;
}

/** What one object uses, under every name a quota may limit it by (upstream's quota evaluators). */
export function quotaUsage(type: CountedType, object: unknown): Amounts {
  const usage: Amounts = new Map([[countName(type), ONE]]);
  const bare = type.group === '' && BARE.has(type.resource);
  if (bare) usage.set(type.resource, ONE);
  if (type.group === '' && type.resource === 'pods') add(usage, podUsage(object as Pod));
  if (type.group === '' && type.resource === 'services') add(usage, portUsage(object as Service));
  if (type.group === '' && type.resource === 'persistentvolumeclaims') {
    add(usage, storageUsage(object as PersistentVolumeClaim));
  }
  if (type.group === 'resource.k8s.io' && type.resource === 'resourceclaims') {
    add(usage, deviceUsage(object as ResourceClaim));
  }
  return usage;
}

/** Whether a quota is about this object at all: all its scopes must fit. Only Pods and claims have scopes. */
export function inScope(quota: ResourceQuota, type: CountedType, object: unknown): boolean {
  const { scopes = [], scopeSelector } = quota.spec ?? {};
  const terms: ScopeTerm[] = [
    ...scopes.map((scopeName) => ({ scopeName, operator: 'Exists' })),
    ...(scopeSelector?.matchExpressions ?? []),
  ];
  if (terms.length === 0) return true;
  if (type.group !== '') return false;
  if (type.resource === 'pods') return terms.every((term) => podFits(term, object as Pod));
  if (type.resource === 'persistentvolumeclaims') {
    return terms.every((term) => claimFits(term, object as PersistentVolumeClaim));
  }
  return false;
}

/** Sums usages up as a quota's status shows them: every limited name, zero where nothing is used. */
export function usedOf(
  hard: Readonly<Record<string, string>>,
  usages: Iterable<ReadonlyMap<string, ReturnType<typeof quantityOf>>>,
): Record<string, string> {
  const total: Amounts = new Map();
  for (const usage of usages) {
    for (const [name, amount] of usage) if (name in hard) add(total, new Map([[name, amount]]));
  }
  return Object.fromEntries(
    Object.keys(hard).map((name) => [name, formatQuantity(total.get(name) ?? quantityOf(0))]),
  );
}

/** The limited names of which `used` plus `more` would be above `hard`. */
export function exceeded(
  hard: Readonly<Record<string, string>>,
  used: Readonly<Record<string, string>>,
  more: Amounts,
): string[] {
  return Object.keys(hard).filter((name) => {
    const extra = more.get(name);
    if (!extra || extra.nanos <= 0n) return false;
    const sum = amountsOf({ [name]: used[name] ?? '0' });
    add(sum, new Map([[name, extra]]));
    return compareQuantities(sum.get(name) ?? extra, parseQuantity(hard[name] ?? '0')) > 0;
  });
}

function isCompute(name: string): boolean {
  const bare = name.replace(/^(requests|limits)\./, '');
  return (
    ['cpu', 'memory', 'ephemeral-storage'].includes(bare) ||
    bare.startsWith('hugepages-') ||
    (name.startsWith('requests.') && bare.includes('/'))
  );
}

/** A Pod that has ended is still an object, but uses nothing. */
function podUsage(pod: Pod): Amounts {
  const usage: Amounts = new Map();
  if (isPodTerminal(pod) || !pod.spec) return usage;
  usage.set('pods', ONE);
  for (const [name, amount] of podAmounts(pod.spec, 'requests')) {
    usage.set(`requests.${name}`, amount);
    if (!name.includes('/')) usage.set(name, amount);
  }
  for (const [name, amount] of podAmounts(pod.spec, 'limits')) {
    if (!name.includes('/')) usage.set(`limits.${name}`, amount);
  }
  return usage;
}

function portUsage({ spec }: Service): Amounts {
  const ports = spec?.ports ?? [];
  const usage: Amounts = new Map();
  if (spec?.type === 'NodePort') usage.set('services.nodeports', quantityOf(ports.length));
  if (spec?.type !== 'LoadBalancer') return usage;
  usage.set('services.loadbalancers', ONE);
  const own =
    spec.allocateLoadBalancerNodePorts === false ? ports.filter((port) => port.nodePort) : ports;
  usage.set('services.nodeports', quantityOf(own.length));
  return usage;
}

function storageUsage({ spec, status, metadata }: PersistentVolumeClaim): Amounts {
  const usage: Amounts = new Map();
  const asked = amountsOf(spec?.resources?.requests).get('storage');
  const allocated = amountsOf(status?.allocatedResources).get('storage');
  const size =
    asked && allocated && compareQuantities(allocated, asked) > 0
      ? allocated
      : (asked ?? allocated);
  const name =
    metadata.annotations?.['volume.beta.kubernetes.io/storage-class'] ?? spec?.storageClassName;
  if (name) usage.set(`${name}${STORAGE_CLASS}persistentvolumeclaims`, ONE);
  if (!size) return usage;
  usage.set('requests.storage', size);
  if (name) usage.set(`${name}${STORAGE_CLASS}requests.storage`, size);
  return usage;
}

function deviceUsage({ spec }: ResourceClaim): Amounts {
  const usage: Amounts = new Map();
  for (const { exactly, firstAvailable = [] } of spec?.devices?.requests ?? []) {
    // Of alternatives any may be taken: each class is charged with what it could be asked for.
    for (const request of exactly ? [exactly] : firstAvailable) {
      const count = request.allocationMode === 'All' ? 32 : (request.count ?? 1);
      add(usage, new Map([[`${request.deviceClassName}${DEVICE_CLASS}`, quantityOf(count)]]));
    }
  }
  return usage;
}

function podFits(term: ScopeTerm, pod: Pod): boolean {
  switch (term.scopeName) {
    case 'Terminating':
      return pod.spec?.activeDeadlineSeconds !== undefined;
    case 'NotTerminating':
      return pod.spec?.activeDeadlineSeconds === undefined;
    case 'BestEffort':
      return pod.spec !== undefined && qosClassOf(pod.spec) === 'BestEffort';
    case 'NotBestEffort':
      return pod.spec !== undefined && qosClassOf(pod.spec) !== 'BestEffort';
    case 'PriorityClass':
      return valueFits(term, pod.spec?.priorityClassName);
    case 'CrossNamespacePodAffinity':
      return reachesOtherNamespaces(pod);
    default:
      return false;
  }
}

function claimFits(term: ScopeTerm, { spec, status }: PersistentVolumeClaim): boolean {
  if (term.scopeName !== 'VolumeAttributesClass') return false;
  const names = [
    spec?.volumeAttributesClassName,
    status?.currentVolumeAttributesClassName,
    status?.modifyVolumeStatus?.targetVolumeAttributesClassName,
  ];
  return names.some((name) => name && valueFits(term, name));
}

function valueFits({ operator, values = [] }: ScopeTerm, value: string | undefined): boolean {
  switch (operator) {
    case 'Exists':
      return Boolean(value);
    case 'DoesNotExist':
      return !value;
    case 'In':
      return value !== undefined && values.includes(value);
    case 'NotIn':
      return value === undefined || !values.includes(value);
    default:
      return false;
  }
}

function reachesOtherNamespaces({ spec }: Pod): boolean {
  const { podAffinity, podAntiAffinity } = spec?.affinity ?? {};
  return [podAffinity, podAntiAffinity].some((affinity) =>
    [
      ...(affinity?.requiredDuringSchedulingIgnoredDuringExecution ?? []),
      ...(affinity?.preferredDuringSchedulingIgnoredDuringExecution ?? []).map(
        (weighted) => weighted.podAffinityTerm,
      ),
    ].some((term) => (term.namespaces ?? []).length > 0 || term.namespaceSelector !== undefined),
  );
}
