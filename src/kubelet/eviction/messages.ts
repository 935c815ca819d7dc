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

/** What is told of a pod that goes: people read the message, machines the annotations of its event. */
export interface EvictionNotice {
  readonly message: string;
  readonly annotations: Record<string, string>;
}

interface Greedy {
  readonly name: string;
  readonly usage: string;
  readonly request: string;
}

/** Of a pod that goes because the node is short of something, in upstream's words. Pure. */
export function evictionNotice(
  pod: Pod,
  stats: PodStats | undefined,
  { resource, threshold, left }: { resource: Resource; threshold: Threshold; left: Left },
): EvictionNotice {
  const quantity = shown(thresholdValue(threshold, left.total), resource);
  const available = shown(left.available, resource);
  const short = `The node was low on resource: ${resource}. Threshold quantity: ${quantity}, available: ${available}. `;
  const greedy = greedyContainers(pod, stats, resource);
  const consumers = greedy.map(
    ({ name, usage, request }) =>
      `Container ${name} was using ${usage}, request is ${request}, has larger consumption of ${resource}. `,
  );
  return {
    message: short + consumers.join(''),
    annotations: {
      offending_containers: greedy.map(({ name }) => name).join(','),
      offending_containers_usage: greedy.map(({ usage }) => usage).join(','),
      starved_resource: resource,
    },
  };
}

function greedyContainers(pod: Pod, stats: PodStats | undefined, resource: Resource): Greedy[] {
  if (resource !== 'memory' && resource !== 'ephemeral-storage') return [];
  return [...initContainersOf(pod), ...containersOf(pod)].flatMap((container) => {
    const measured = stats?.containers.find((c) => c.name === container.name);
    const usage =
      resource === 'memory'
        ? measured?.memory?.workingSetBytes
        : (measured?.rootfs?.usedBytes ?? 0) + (measured?.logs?.usedBytes ?? 0);
    const request = container.resources?.requests?.[resource] ?? '0';
    if (usage === undefined || usage <= wholeValue(parseQuantity(request))) return [];
    return [{ name: container.name, usage: shown(usage, resource), request }];
  });
}
