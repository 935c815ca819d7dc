import { formatQuantity, parseQuantity, quantityOf, wholeValue } from '../../api/quantity.ts';
import type { Pod } from '../../api/types.ts';
import { containersOf, initContainersOf } from '../names.ts';
import type { PodStats } from '../stats/summary.ts';
import type { Left, Resource, Threshold } from './signals.ts';
import { thresholdValue } from './signals.ts';

/** As upstream prints them: bytes in powers of 1024, numbers of inodes and processes in powers of 1000. */
function shown(value: number, resource: Resource): string {
  const format = resource === 'inodes' || resource === 'pids' ? 'DecimalSI' : 'BinarySI';
  return formatQuantity(quantityOf(Math.floor(value), format));
}

/** The status message of a pod that goes because the node is short of something, in upstream's words. Pure. */
export function evictionMessage(
  pod: Pod,
  stats: PodStats | undefined,
  { resource, threshold, left }: { resource: Resource; threshold: Threshold; left: Left },
): string {
  const quantity = shown(thresholdValue(threshold, left.total), resource);
  const available = shown(left.available, resource);
  const short = `The node was low on resource: ${resource}. Threshold quantity: ${quantity}, available: ${available}. `;
  return short + greedyContainers(pod, stats, resource).join('');
}

function greedyContainers(pod: Pod, stats: PodStats | undefined, resource: Resource): string[] {
  if (resource !== 'memory' && resource !== 'ephemeral-storage') return [];
  return [...initContainersOf(pod), ...containersOf(pod)].flatMap((container) => {
    const measured = stats?.containers.find((c) => c.name === container.name);
    const usage =
      resource === 'memory'
        ? measured?.memory?.workingSetBytes
        : (measured?.rootfs?.usedBytes ?? 0) + (measured?.logs?.usedBytes ?? 0);
    const asked = container.resources?.requests?.[resource] ?? '0';
    if (usage === undefined || usage <= wholeValue(parseQuantity(asked))) return [];
    return [
      `Container ${container.name} was using ${shown(usage, resource)}, request is ${asked}, has larger consumption of ${resource}. `,
    ];
  });
}
