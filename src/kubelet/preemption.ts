import { qosClassOf } from '../api/pods.ts';
import type { Pod } from '../api/types.ts';
import { isCriticalPod } from './critical-pods.ts';
import { podRequest } from './resources.ts';

/** How much of a resource is wanting: thousandths for cpu, else whole units. */
export interface Shortage {
  readonly resource: string;
  readonly missing: number;
}

/** Who may be ended for the sake of a critical pod. */
export function mayPreempt(preemptor: Pod, other: Pod): boolean {
  if (isCriticalPod(preemptor) && !isCriticalPod(other)) return true;
  return (preemptor.spec?.priority ?? 0) > (other.spec?.priority ?? 0);
}

/**
 * The pods to end so that a critical one gets what is wanting: as few of those that were promised most as can be, and of
 * each class those that come nearest to what is needed. Undefined when all of them together would not be enough. Pure.
 */
export function preemptionVictims(
  shortages: readonly Shortage[],
  candidates: readonly Pod[],
): Pod[] | undefined {
  if (lacking(shortages, candidates).length > 0) return undefined;
  const of = (qos: string): Pod[] =>
    candidates.filter((pod) => pod.spec && qosClassOf(pod.spec) === qos);
  const bestEffort = of('BestEffort');
  const burstable = of('Burstable');
  const first = nearest(lacking(shortages, [...bestEffort, ...burstable]), of('Guaranteed'));
  const second = nearest(lacking(shortages, [...bestEffort, ...first]), burstable);
  const third = nearest(lacking(shortages, [...first, ...second]), bestEffort);
  return [...third, ...second, ...first];
}

/** What is still wanting when these pods are gone. */
function lacking(shortages: readonly Shortage[], gone: readonly Pod[]): Shortage[] {
  return shortages
    .map(({ resource, missing }) => ({
      resource,
      missing: missing - gone.reduce((sum, pod) => sum + freedBy(pod, resource), 0),
    }))
    .filter(({ missing }) => missing > 0);
}

const freedBy = (pod: Pod, resource: string): number =>
  resource === 'pods' ? 1 : podRequest(pod, resource);

/** Takes the pod that leaves least to be found, until nothing is wanting; of two alike the smaller one. */
function nearest(shortages: readonly Shortage[], pods: readonly Pod[]): Pod[] {
  const chosen: Pod[] = [];
  let left = [...shortages];
  const rest = [...pods];
  while (left.length > 0 && rest.length > 0) {
    const memory = (pod: Pod): number => podRequest(pod, 'memory');
    rest.sort((a, b) => distance(left, a) - distance(left, b) || memory(a) - memory(b));
    const [best] = rest.splice(0, 1);
    if (!best) break;
    chosen.push(best);
    left = lacking(left, [best]);
  }
  return chosen;
}

/** 0 when the pod alone is enough; each resource counts by the share that stays wanting. */
function distance(shortages: readonly Shortage[], pod: Pod): number {
  return shortages.reduce((sum, { resource, missing }) => {
    const share = Math.max(0, missing - freedBy(pod, resource)) / missing;
    return sum + share * share;
  }, 0);
}
