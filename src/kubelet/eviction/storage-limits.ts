import { parseQuantity, wholeValue } from '../../api/quantity.ts';
import type { Pod } from '../../api/types.ts';
import { containersOf, initContainersOf } from '../names.ts';
import type { PodDisk } from '../stats/pod-disk.ts';

const STORAGE = 'ephemeral-storage';

/** Whether the pod may be over a limit of its own at all: most have none, and are not measured. */
export function hasStorageLimits(pod: Pod): boolean {
  const limited = pod.spec?.volumes?.some((v) => v.emptyDir?.sizeLimit && !v.emptyDir.medium);
  return Boolean(limited) || containersOf(pod).some((c) => c.resources?.limits?.[STORAGE]);
}

/** Which limit is exceeded, as metrics name it, and how people are told. */
export interface Excess {
  readonly limit: 'emptydirfs.limit' | 'ephemeralpodfs.limit' | 'ephemeralcontainerfs.limit';
  readonly message: string;
}

/** Why the pod must go: it uses more of the node's disk than it said it would. Pure. */
export function storageExcess(
  pod: Pod,
  disk: PodDisk,
  /** Bytes of each container's own layer, by its name. */
  layers: ReadonlyMap<string, number>,
): Excess | undefined {
  return (
    emptyDirExcess(pod, disk) ?? podExcess(pod, disk, layers) ?? containerExcess(pod, disk, layers)
  );
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

function podExcess(pod: Pod, disk: PodDisk, layers: Layers): Excess | undefined {
  const total = totalLimit(pod);
  const used = disk.localVolumes + disk.logBytes + sum([...layers.values()]);
  if (total === undefined || used <= total.bytes) return undefined;
  const message = `Pod ephemeral local storage usage exceeds the total limit of containers ${total.text}. `;
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

/** Only when every container has a limit is there one for the pod. */
function totalLimit(pod: Pod): { bytes: number; text: string } | undefined {
  const limits = containersOf(pod).map((c) => c.resources?.limits?.[STORAGE]);
  if (limits.some((limit) => limit === undefined)) return undefined;
  const known = limits.filter((limit) => limit !== undefined);
  const total = sum(known.map(bytes));
  return { bytes: total, text: known.length === 1 ? (known[0] ?? '') : String(total) };
}

const bytes = (text: string): number => wholeValue(parseQuantity(text));
const sum = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0);
