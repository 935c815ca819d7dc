import { isSidecar, qosClassOf } from '../api/pods.ts';
import { milliValue, parseQuantity, wholeValue } from '../api/quantity.ts';
import type { Container, Pod } from '../api/types.ts';
import { isCriticalPod } from './critical-pods.ts';
import { containersOf, initContainersOf } from './names.ts';
import type { LinuxContainerResources, PodSandboxConfig } from './runtime/runtime.ts';

export const CPU_PERIOD_US = 100_000;
const MIN_SHARES = 2;
const MAX_SHARES = 262_144;
const MIN_QUOTA_US = 1000;

/** CPU weight in cgroup v1 shares: 1024 per core. */
export function cpuShares(milliCpu: number): number {
  if (milliCpu === 0) return MIN_SHARES;
  return Math.min(MAX_SHARES, Math.max(MIN_SHARES, Math.floor((milliCpu * 1024) / 1000)));
}

/** CPU time in microseconds per period; 0 is no limit. */
export function cpuQuota(milliCpu: number, periodUs = CPU_PERIOD_US): number {
  if (milliCpu === 0) return 0;
  return Math.max(MIN_QUOTA_US, Math.floor((milliCpu * periodUs) / 1000));
}

type ResourceList = Record<string, string> | undefined;

const milli = (list: ResourceList, name: string): number =>
  list?.[name] === undefined ? 0 : milliValue(parseQuantity(list[name]));
const whole = (list: ResourceList, name: string): number =>
  list?.[name] === undefined ? 0 : wholeValue(parseQuantity(list[name]));

/** What of the node's memory decides about a container. */
export interface NodeMemory {
  /** Bytes. */
  readonly capacity: number;
  readonly swap: {
    /** Bytes of the node's swap. */
    readonly capacity: number;
    /** memorySwap.swapBehavior: LimitedSwap gives containers a share, NoSwap nothing. */
    readonly limited: boolean;
    readonly cgroupVersion: 1 | 2;
  };
}

/** The kernel's side of a container's requests and limits. */
export function containerResources(
  pod: Pod,
  container: Container,
  node: NodeMemory,
): LinuxContainerResources {
  const { requests, limits } = container.resources ?? {};
  // What the pod as a whole may use bounds a container that has no limit of its own (KEP-2837).
  const cpuLimit = milli(limits, 'cpu') || milli(pod.spec?.resources?.limits, 'cpu');
  const cpuRequest = requests?.cpu === undefined ? cpuLimit : milli(requests, 'cpu');
  const hugepageLimits = Object.entries(limits ?? {})
    .filter(([name]) => name.startsWith('hugepages-'))
    .map(([name, text]) => ({
      pageSize: `${name.slice('hugepages-'.length).replace(/i$/, '')}B`,
      limit: wholeValue(parseQuantity(text)),
    }));
  const memory = whole(limits, 'memory') || whole(pod.spec?.resources?.limits, 'memory');
  return {
    cpuShares: cpuShares(cpuRequest),
    cpuPeriod: CPU_PERIOD_US,
    cpuQuota: cpuQuota(cpuLimit),
    memoryLimitInBytes: memory,
    ...swapResources(pod, container, node),
    oomScoreAdj: oomScoreAdj(pod, container, node.capacity),
    hugepageLimits,
  };
}

/** How much a container may swap. https://kubernetes.io/docs/concepts/architecture/nodes/#swap-memory */
function swapResources(
  pod: Pod,
  container: Container,
  { capacity, swap }: NodeMemory,
): Pick<LinuxContainerResources, 'memorySwapLimitInBytes' | 'unified'> {
  if (swap.cgroupVersion === 1) {
    // What it may use of memory and swap together is its memory.
    const memory = whole(container.resources?.limits, 'memory');
    return memory > 0 ? { memorySwapLimitInBytes: memory } : {};
  }
  if (swap.capacity === 0) return {};
  const share = swap.limited && maySwap(pod, container) ? memoryShare(container, capacity) : 0;
  return { unified: { 'memory.swap.max': String(Math.floor(share * swap.capacity)) } };
}

/** Only containers that asked for memory, and for less than they may use; never what the node lives on. */
function maySwap(pod: Pod, { resources = {} }: Container): boolean {
  if (!pod.spec || isCriticalPod(pod) || qosClassOf(pod.spec) !== 'Burstable') return false;
  const request = whole(resources.requests, 'memory');
  return request > 0 && request !== whole(resources.limits, 'memory');
}

const memoryShare = ({ resources }: Container, capacity: number): number =>
  whole(resources?.requests, 'memory') / capacity;

/** Who dies first when the node runs out of memory: the more of its request a pod may exceed, the sooner. */
export function oomScoreAdj(pod: Pod, container: Container, memoryCapacity: number): number {
  if (!pod.spec) return 0;
  if ((pod.spec.priority ?? 0) >= SYSTEM_NODE_CRITICAL) return -997;
  const qos = qosClassOf(pod.spec);
  if (qos === 'Guaranteed') return -997;
  if (qos === 'BestEffort') return 1000;
  const unclaimed = unclaimedMemory(pod);
  const score = (c: Container): number => {
    const request = whole(c.resources?.requests, 'memory') + unclaimed;
    return Math.min(999, Math.max(3, 1000 - Math.floor((1000 * request) / memoryCapacity)));
  };
  if (!initContainersOf(pod).some((c) => c.name === container.name) || !isSidecar(container)) {
    return score(container);
  }
  return Math.min(score(container), ...containersOf(pod).map(score));
}

/** A container's part of the memory that its pod as a whole asks for beyond what its containers do (KEP-2837). */
function unclaimedMemory(pod: Pod): number {
  const own = whole(pod.spec?.resources?.requests, 'memory');
  if (own === 0) return 0;
  const claimed = totals(pod, (c) => whole(c.resources?.requests, 'memory'));
  return Math.trunc((own - claimed) / (containersOf(pod).length + initContainersOf(pod).length));
}

const SYSTEM_NODE_CRITICAL = 2_000_001_000;

/** What the pod as a whole may use: cgroup limits of its parent group. 0 is no limit. */
export interface PodResources {
  cpuShares: number;
  cpuQuota: number;
  memoryLimit: number;
}

/** Sums containers; init containers count by the moment at which most is asked for. */
export function podResources(pod: Pod): PodResources {
  const cpu = podRequest(pod, 'cpu');
  const cpuLimit = limitTotal(pod, 'cpu', milli);
  const memoryLimit = limitTotal(pod, 'memory', whole);
  return { cpuShares: cpuShares(cpu), cpuQuota: cpuQuota(cpuLimit), memoryLimit };
}

/** What a runtime that sizes the sandbox itself (a virtual machine) needs to know. */
export function sandboxResources(
  pod: Pod,
): Pick<PodSandboxConfig['linux'], 'overhead' | 'resources'> {
  const { cpuShares: shares, cpuQuota: quota, memoryLimit } = podResources(pod);
  const inUnits = (list: ResourceList): LinuxContainerResources => ({
    cpuPeriod: CPU_PERIOD_US,
    cpuShares: cpuShares(milli(list, 'cpu')),
    cpuQuota: cpuQuota(milli(list, 'cpu')),
    memoryLimitInBytes: whole(list, 'memory'),
  });
  return {
    resources: {
      cpuPeriod: CPU_PERIOD_US,
      cpuShares: shares,
      cpuQuota: quota,
      memoryLimitInBytes: memoryLimit,
    },
    ...(pod.spec?.overhead ? { overhead: inUnits(pod.spec.overhead) } : {}),
  };
}

/** The pod's effective request of a resource: thousandths for cpu, else whole units. */
export function podRequest(pod: Pod, name: string): number {
  const measure = name === 'cpu' ? milli : whole;
  const own = pod.spec?.resources?.requests;
  const sum =
    own?.[name] === undefined
      ? totals(pod, (c) => requestOf(c, name, measure))
      : measure(own, name);
  return sum + measure(pod.spec?.overhead, name);
}

type Measure = (list: ResourceList, name: string) => number;

function requestOf(container: Container, name: string, measure: Measure): number {
  const { requests, limits } = container.resources ?? {};
  return requests?.[name] === undefined ? measure(limits, name) : measure(requests, name);
}

/** 0 (no limit) as soon as one container that runs has none, unless the pod itself sets one. */
function limitTotal(pod: Pod, name: string, measure: Measure): number {
  const own = pod.spec?.resources?.limits?.[name];
  if (own !== undefined) return measure(pod.spec?.resources?.limits, name);
  const all = [...initContainersOf(pod), ...containersOf(pod)];
  if (all.some((c) => c.resources?.limits?.[name] === undefined)) return 0;
  return totals(pod, (c) => measure(c.resources?.limits, name)) + measure(pod.spec?.overhead, name);
}

function totals(pod: Pod, of: (container: Container) => number): number {
  let sidecars = 0;
  let peak = 0;
  for (const container of initContainersOf(pod)) {
    if (isSidecar(container)) {
      sidecars += of(container);
      peak = Math.max(peak, sidecars);
    } else {
      peak = Math.max(peak, sidecars + of(container));
    }
  }
  const steady = containersOf(pod).reduce((sum, c) => sum + of(c), sidecars);
  return Math.max(peak, steady);
}
