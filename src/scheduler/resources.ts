import type { Container, ContainerStatus, Pod, PodSpec } from '../api/types.ts';
import { amountOf } from './quantity.ts';

/** Amounts of node resources. CPU in thousandths of a core, memory and storage in bytes, the rest in units. */
export interface Resources {
  milliCpu: number;
  memory: number;
  ephemeralStorage: number;
  /** How many Pods; only in allocatable. */
  pods: number;
  /** Extended resources, huge pages and attachable volumes, by name. */
  readonly scalar: Map<string, number>;
}

type Quantities = Readonly<Record<string, string>>;

/** What a container is taken to need for scoring when it asks for nothing (upstream scheduler/util). */
const DEFAULT_MILLI_CPU = '100m';
const DEFAULT_MEMORY = '200Mi';
const NON_ZERO: Quantities = { cpu: DEFAULT_MILLI_CPU, memory: DEFAULT_MEMORY };

export function noResources(): Resources {
  return { milliCpu: 0, memory: 0, ephemeralStorage: 0, pods: 0, scalar: new Map() };
}

export function copyResources(from: Resources): Resources {
  return { ...from, scalar: new Map(from.scalar) };
}

/** Reads a ResourceList. Unreadable quantities cannot occur: the API server validates them. */
export function toResources(list: Quantities | undefined): Resources {
  const out = noResources();
  for (const [name, quantity] of Object.entries(list ?? {})) {
    setAmount(out, name, amountOf(name, quantity));
  }
  return out;
}

/** The amount of one resource by its API name. */
export function amount(resources: Resources, name: string): number {
  switch (name) {
    case 'cpu':
      return resources.milliCpu;
    case 'memory':
      return resources.memory;
    case 'ephemeral-storage':
      return resources.ephemeralStorage;
    case 'pods':
      return resources.pods;
    default:
      return resources.scalar.get(name) ?? 0;
  }
}

/** `amount` for one name, for loops over many nodes. */
export function amountReader(name: string): (resources: Resources) => number {
  switch (name) {
    case 'cpu':
      return (resources) => resources.milliCpu;
    case 'memory':
      return (resources) => resources.memory;
    case 'ephemeral-storage':
      return (resources) => resources.ephemeralStorage;
    default:
      return (resources) => amount(resources, name);
  }
}

export function addResources(to: Resources, what: Resources): void {
  to.milliCpu += what.milliCpu;
  to.memory += what.memory;
  to.ephemeralStorage += what.ephemeralStorage;
  for (const [name, value] of what.scalar) to.scalar.set(name, (to.scalar.get(name) ?? 0) + value);
}

export function subtractResources(from: Resources, what: Resources): void {
  from.milliCpu -= what.milliCpu;
  from.memory -= what.memory;
  from.ephemeralStorage -= what.ephemeralStorage;
  for (const [name, value] of what.scalar) {
    from.scalar.set(name, (from.scalar.get(name) ?? 0) - value);
  }
}

/**
 * What a Pod needs of a node: the sum of its containers and sidecars, or its neediest init container with
 * the sidecars started before it; plus overhead; pod-level requests win (KEP-753, KEP-2837).
 * A running container counts with the larger of what it asks for and what it was given (KEP-1287).
 */
export function podRequests(pod: Pod): Resources {
  return totalRequests(pod, undefined);
}

/** `podRequests` where a container that names no CPU or memory counts with a small default: for scoring only. */
export function podNonZeroRequests(pod: Pod): Resources {
  return totalRequests(pod, NON_ZERO);
}

function totalRequests(pod: Pod, missing: Quantities | undefined): Resources {
  const spec = pod.spec;
  if (!spec) return noResources();
  const total = noResources();
  for (const container of spec.containers) {
    addResources(
      total,
      containerRequests(container, statusOf(pod, container, 'containerStatuses'), missing),
    );
  }
  addInitContainers(total, pod, spec, missing);
  applyPodLevel(total, spec);
  addResources(total, toResources(spec.overhead));
  return total;
}

function addInitContainers(
  total: Resources,
  pod: Pod,
  spec: PodSpec,
  missing: Quantities | undefined,
): void {
  const sidecars = noResources();
  const peak = noResources();
  for (const container of spec.initContainers ?? []) {
    const status = statusOf(pod, container, 'initContainerStatuses');
    const own = containerRequests(container, status, missing);
    if (container.restartPolicy === 'Always') {
      addResources(total, own);
      addResources(sidecars, own);
      raise(peak, sidecars);
    } else {
      addResources(own, sidecars);
      raise(peak, own);
    }
  }
  raise(total, peak);
}

/** Pod-level requests exist for CPU, memory and huge pages; they replace what the containers sum up to. */
function applyPodLevel(total: Resources, spec: PodSpec): void {
  for (const [name, quantity] of Object.entries(spec.resources?.requests ?? {})) {
    if (name === 'cpu' || name === 'memory' || name.startsWith('hugepages-')) {
      setAmount(total, name, amountOf(name, quantity));
    }
  }
}

function containerRequests(
  container: Container,
  status: ContainerStatus | undefined,
  missing: Quantities | undefined,
): Resources {
  const requests = container.resources?.requests;
  const own = toResources(missing ? { ...missing, ...requests } : requests);
  if (status?.resources?.requests) raise(own, toResources(status.resources.requests));
  if (status?.allocatedResources) raise(own, toResources(status.allocatedResources));
  return own;
}

function statusOf(
  pod: Pod,
  container: Container,
  list: 'containerStatuses' | 'initContainerStatuses',
): ContainerStatus | undefined {
  return pod.status?.[list]?.find((status) => status.name === container.name);
}

/** Raises each amount to at least that of `least`. */
function raise(to: Resources, least: Resources): void {
  to.milliCpu = Math.max(to.milliCpu, least.milliCpu);
  to.memory = Math.max(to.memory, least.memory);
  to.ephemeralStorage = Math.max(to.ephemeralStorage, least.ephemeralStorage);
  for (const [name, value] of least.scalar) {
    to.scalar.set(name, Math.max(to.scalar.get(name) ?? 0, value));
  }
}

function setAmount(to: Resources, name: string, value: number): void {
  switch (name) {
    case 'cpu':
      to.milliCpu = value;
      break;
    case 'memory':
      to.memory = value;
      break;
    case 'ephemeral-storage':
      to.ephemeralStorage = value;
      break;
    case 'pods':
      to.pods = value;
      break;
    default:
      to.scalar.set(name, value);
  }
}
