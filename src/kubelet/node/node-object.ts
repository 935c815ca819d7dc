import {
  addQuantities,
  formatQuantity,
  parseQuantity,
  subtractQuantities,
} from '../../api/quantity.ts';
import { timeString } from '../../api/times.ts';
import type { Draft, Node } from '../../api/types.ts';
import type { FilesystemFacts, MachineFacts } from '../../host/machine.ts';
import type { KubeletConfiguration } from '../config.ts';
import type { Image, RuntimeHandler } from '../runtime/runtime.ts';

type NodeStatus = NonNullable<Node['status']>;
type NodeCondition = NonNullable<NodeStatus['conditions']>[number];

const MAX_IMAGES = 50;
const MAX_IMAGE_NAMES = 5;

/** The node as this kubelet registers it. */
export function newNode(
  name: string,
  machine: MachineFacts,
  options: { labels: Readonly<Record<string, string>>; config: KubeletConfiguration },
): Draft<Node> {
  const { registerWithTaints } = options.config;
  return {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: {
      name,
      labels: { ...ownLabels(name, machine), ...options.labels },
      annotations: { 'volumes.kubernetes.io/controller-managed-attach-detach': 'true' },
    },
    spec: registerWithTaints.length > 0 ? { taints: registerWithTaints } : {},
  };
}

/** Labels that every kubelet gives its node. */
export function ownLabels(name: string, machine: MachineFacts): Record<string, string> {
  const { architecture, operatingSystem } = machine;
  return {
    'kubernetes.io/hostname': name,
    'kubernetes.io/os': operatingSystem,
    'kubernetes.io/arch': architecture,
    'beta.kubernetes.io/os': operatingSystem,
    'beta.kubernetes.io/arch': architecture,
  };
}

type Resources = Record<string, string>;

export function nodeCapacity(
  machine: MachineFacts,
  disk: Pick<FilesystemFacts, 'capacityBytes'>,
  config: KubeletConfiguration,
): Resources {
  const capacity: Resources = {
    cpu: String(machine.cpus),
    memory: `${Math.floor(machine.memory / 1024)}Ki`,
    'ephemeral-storage': `${Math.floor(disk.capacityBytes / 1024)}Ki`,
    pods: String(config.maxPods),
  };
  for (const [size, count] of machine.hugepages) {
    const name = size >= 2 ** 30 ? `${size / 2 ** 30}Gi` : `${size / 2 ** 20}Mi`;
    const total = (size * count) / 2 ** 20;
    capacity[`hugepages-${name}`] = total === 0 ? '0' : `${total}Mi`;
  }
  return capacity;
}

const RESERVED_BY_EVICTION: Record<string, string> = {
  memory: 'memory.available',
  'ephemeral-storage': 'nodefs.available',
};

/** Capacity less what is reserved and what eviction keeps free. */
export function nodeAllocatable(capacity: Resources, config: KubeletConfiguration): Resources {
  const allocatable: Resources = {};
  for (const [name, total] of Object.entries(capacity)) {
    const threshold = config.evictionHard[RESERVED_BY_EVICTION[name] ?? ''];
    const kept = [
      config.kubeReserved[name],
      config.systemReserved[name],
      threshold === undefined ? undefined : thresholdQuantity(threshold, total),
    ].filter((text) => text !== undefined);
    let left = parseQuantity(total);
    for (const text of kept) left = subtractQuantities(left, parseQuantity(text));
    const huge = hugepagesTotal(name, capacity);
    if (huge !== undefined) left = subtractQuantities(left, huge);
    allocatable[name] = left.nanos < 0n ? '0' : formatQuantity(left);
  }
  return allocatable;
}

/** What pods may use together, where that is enforced: all that is not reserved. The margin of evictions is theirs. */
export function podsLimits(
  { cpus, memory }: Pick<MachineFacts, 'cpus' | 'memory'>,
  config: KubeletConfiguration,
): { cpuShares: number; memoryLimit: number } {
  if (!config.enforceNodeAllocatable.includes('pods')) {
    return { cpuShares: cpus * 1024, memoryLimit: 0 };
  }
  const all = { cpu: String(cpus), memory: String(memory) };
  const left = nodeAllocatable(all, { ...config, evictionHard: {} });
  const amount = (name: string): number => Number(parseQuantity(left[name] ?? '0').nanos) / 1e9;
  return {
    cpuShares: Math.max(2, Math.floor(amount('cpu') * 1024)),
    memoryLimit: Math.floor(amount('memory')),
  };
}

/** Huge pages are taken out of the memory that other pods can have. */
function hugepagesTotal(name: string, capacity: Resources) {
  if (name !== 'memory') return undefined;
  return Object.entries(capacity)
    .filter(([key]) => key.startsWith('hugepages-'))
    .map(([, text]) => parseQuantity(text))
    .reduce(addQuantities, parseQuantity('0'));
}

/** A threshold is a quantity or a share of the total. */
export function thresholdQuantity(threshold: string, total: string): string {
  if (!threshold.endsWith('%')) return threshold;
  const nanos = parseQuantity(total).nanos;
  const share = BigInt(Math.round(Number(threshold.slice(0, -1)) * 1000));
  return String((nanos * share) / 100_000n / 1_000_000_000n);
}

export function nodeImages(images: readonly Image[]): NonNullable<NodeStatus['images']> {
  return [...images]
    .sort((a, b) => b.size - a.size)
    .slice(0, MAX_IMAGES)
    .map((image) => ({
      names: [...image.repoDigests, ...image.repoTags].slice(0, MAX_IMAGE_NAMES),
      sizeBytes: image.size,
    }));
}

export function nodeHandlers(
  handlers: readonly RuntimeHandler[],
): NonNullable<NodeStatus['runtimeHandlers']> {
  return handlers.map(({ name, features }) => ({
    name,
    features: {
      recursiveReadOnlyMounts: features?.recursiveReadOnlyMounts ?? false,
      userNamespaces: features?.userNamespaces ?? false,
    },
  }));
}

export interface ConditionFacts {
  /** Why the node is not ready, in order of weight; empty when it is. */
  problems: readonly string[];
  pressure: { memory: boolean; disk: boolean; pid: boolean };
}

/** The kubelet's conditions, Ready last; times of unchanged ones are kept. */
export function nodeConditions(
  facts: ConditionFacts,
  before: readonly NodeCondition[],
  now: number,
): NodeCondition[] {
  const { problems, pressure } = facts;
  const wanted = [
    condition('MemoryPressure', pressure.memory, [
      ['KubeletHasInsufficientMemory', 'kubelet has insufficient memory available'],
      ['KubeletHasSufficientMemory', 'kubelet has sufficient memory available'],
    ]),
    condition('DiskPressure', pressure.disk, [
      ['KubeletHasDiskPressure', 'kubelet has disk pressure'],
      ['KubeletHasNoDiskPressure', 'kubelet has no disk pressure'],
    ]),
    condition('PIDPressure', pressure.pid, [
      ['KubeletHasInsufficientPID', 'kubelet has insufficient PID available'],
      ['KubeletHasSufficientPID', 'kubelet has sufficient PID available'],
    ]),
    condition('Ready', problems.length === 0, [
      ['KubeletReady', 'kubelet is posting ready status'],
      ['KubeletNotReady', problems.join(', ')],
    ]),
  ];
  return wanted.map((c) => {
    const earlier = before.find((b) => b.type === c.type);
    const kept = earlier?.status === c.status ? earlier.lastTransitionTime : undefined;
    return {
      ...c,
      lastHeartbeatTime: timeString(now),
      lastTransitionTime: kept ?? timeString(now),
    };
  });
}

type Words = readonly [reason: string, message: string];

function condition(type: string, is: boolean, [yes, no]: readonly [Words, Words]): NodeCondition {
  const [reason, message] = is ? yes : no;
  return { type, status: is ? 'True' : 'False', reason, message };
}
