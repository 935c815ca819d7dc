import { isSidecar } from '../../api/pods.ts';
import {
  addQuantities,
  compareQuantities,
  formatQuantity,
  parseQuantity,
  type Quantity,
  wholeValue,
  ZERO,
} from '../../api/quantity.ts';
import type { Container, Pod } from '../../api/types.ts';
import { isCriticalPod } from '../critical-pods.ts';
import { containersOf, initContainersOf } from '../names.ts';
import type { PodDisk } from '../stats/pod-disk.ts';

const STORAGE = 'ephemeral-storage';

/** Whether the pod can go for a limit of its own at all: most have none, and are not measured. Critical pods stay. */
export function hasStorageLimits(pod: Pod): boolean {
  if (isCriticalPod(pod)) return false;
  const limited = pod.spec?.volumes?.some((v) => v.emptyDir?.sizeLimit && !v.emptyDir.medium);
  return Boolean(limited) || totalLimit(pod) !== undefined;
}

/** Which limit is exceeded, as metrics name it, and how people are told. */
export interface Excess {
  readonly limit: 'emptydirfs.limit' | 'ephemeralpodfs.limit' | 'ephemeralcontainerfs.limit';
  readonly message: string;
}

/** Why the pod must go: it uses more of the node's disk than it said it would. Pure. */
export function storageExcess(pod: Pod, disk: PodDisk, measured: Measured): Excess | undefined {
  const { layers, isSplit } = measured;
  const counted = isSplit ? NO_LAYERS : layers;
  return (
    emptyDirExcess(pod, disk) ?? podExcess(pod, disk, layers) ?? containerExcess(pod, disk, counted)
  );
}

interface Measured {
  /** Bytes of each container's own layer, by its name. */
  readonly layers: Layers;
  /** They are on another disk than the rest of the pod: a container's limit does not count them, as upstream has it. */
  readonly isSplit: boolean;
}

function emptyDirExcess(pod: Pod, disk: PodDisk): Excess | undefined {
  const over = pod.spec?.volumes?.find(({ name, emptyDir }) => {
    if (!emptyDir?.sizeLimit || emptyDir.medium) return false;
    return (disk.emptyDirs.get(name) ?? 0) > bytes(emptyDir.sizeLimit);
  });
  const limit = over?.emptyDir?.sizeLimit;
  if (!over) return undefined;
  const message = `Usage of EmptyDir volume "${over.name}" exceeds the limit "${limit}". `;
  return { limit: 'emptydirfs.limit', message };
}

type Layers = ReadonlyMap<string, number>;
const NO_LAYERS: Layers = new Map();

function podExcess(pod: Pod, disk: PodDisk, layers: Layers): Excess | undefined {
  const total = totalLimit(pod);
  const used = disk.localVolumes + disk.logBytes + sum([...layers.values()]);
  if (total === undefined || used <= wholeValue(total)) return undefined;
  const message = `Pod ephemeral local storage usage exceeds the total limit of containers ${formatQuantity(total)}. `;
  return { limit: 'ephemeralpodfs.limit', message };
}

function containerExcess(pod: Pod, disk: PodDisk, layers: Layers): Excess | undefined {
  for (const { name, resources } of [...initContainersOf(pod), ...containersOf(pod)]) {
    const limit = resources?.limits?.[STORAGE];
    if (limit && (layers.get(name) ?? 0) + (disk.logs.get(name) ?? 0) > bytes(limit)) {
      const message = `Container ${name} exceeded its local ephemeral storage limit "${limit}". `;
      return { limit: 'ephemeralcontainerfs.limit', message };
    }
  }
  return undefined;
}

/** Of those containers that have a limit: the pod's others take from it, too. */
function totalLimit(pod: Pod): Quantity | undefined {
  const limits = (containers: readonly Container[]): Quantity[] =>
    containers.flatMap(({ resources }) => {
      const limit = resources?.limits?.[STORAGE];
      return limit ? [parseQuantity(limit)] : [];
    });
  const first = initContainersOf(pod);
  const together = limits([...containersOf(pod), ...first.filter(isSidecar)]);
  const alone = limits(first.filter((container) => !isSidecar(container)));
  if (together.length + alone.length === 0) return undefined;
  const whole = together.reduce(addQuantities, ZERO);
  return alone.reduce((most, one) => (compareQuantities(one, most) > 0 ? one : most), whole);
}

const bytes = (text: string): number => wholeValue(parseQuantity(text));
const sum = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0);
