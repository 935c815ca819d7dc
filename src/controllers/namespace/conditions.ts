import { timeString } from '../../api/times.ts';
import type { Namespace } from '../../api/types.ts';
import type { Remains } from './content.ts';

type Condition = NonNullable<NonNullable<Namespace['status']>['conditions']>[number];

/** What a namespace that is going says about what holds it up, worded as upstream words it. Pure. */
export function deletionConditions(
  known: readonly Condition[],
  remains: Remains,
  now: number,
): Condition[] {
  const wanted: Omit<Condition, 'lastTransitionTime'>[] = [
    verdict('NamespaceDeletionDiscoveryFailure', {
      problem: remains.discoveryFailures.length > 0,
      bad: [
        'DiscoveryFailed',
        `Discovery failed for some groups, ${remains.discoveryFailures.length} failing: ${remains.discoveryFailures.join(', ')}`,
      ],
      good: ['ResourcesDiscovered', 'All resources successfully discovered'],
    }),
    verdict('NamespaceDeletionGroupVersionParsingFailure', {
      problem: false,
      bad: ['', ''],
      good: ['ParsedGroupVersions', 'All legacy kube types successfully parsed'],
    }),
    verdict('NamespaceDeletionContentFailure', {
      problem: remains.failures.length > 0,
      bad: [
        'ContentDeletionFailed',
        `Failed to delete all resource types, ${remains.failures.length} remaining: ${remains.failures.join(', ')}`,
      ],
      good: ['ContentDeleted', 'All content successfully deleted, may be waiting on finalization'],
    }),
    verdict('NamespaceContentRemaining', {
      problem: remains.counts.size > 0,
      bad: [
        'SomeResourcesRemain',
        `Some resources are remaining: ${listed(remains.counts, (name, n) => `${name} has ${n} resource instances`)}`,
      ],
      good: ['ContentRemoved', 'All content successfully removed'],
    }),
    verdict('NamespaceFinalizersRemaining', {
      problem: remains.finalizers.size > 0,
      bad: [
        'SomeFinalizersRemain',
        `Some content in the namespace has finalizers remaining: ${listed(remains.finalizers, (name, n) => `${name} in ${n} resource instances`)}`,
      ],
      good: ['ContentHasNoFinalizers', 'All content-preserving finalizers finished'],
    }),
  ];
  const types = new Set(wanted.map(({ type }) => type));
  const others = known.filter(({ type }) => !types.has(type));
  return [...others, ...wanted.map((condition) => since(known, condition, now))];
}

function verdict(
  type: string,
  says: { problem: boolean; bad: [string, string]; good: [string, string] },
) {
  const [reason, message] = says.problem ? says.bad : says.good;
  return { type, status: says.problem ? 'True' : 'False', reason, message };
}

/** Times move only when the status of a condition does. */
function since(
  known: readonly Condition[],
  wanted: Omit<Condition, 'lastTransitionTime'>,
  now: number,
): Condition {
  const before = known.find(({ type }) => type === wanted.type);
  const same = before?.status === wanted.status ? before?.lastTransitionTime : undefined;
  return { ...wanted, lastTransitionTime: same ?? timeString(now) };
}

function listed(counts: Map<string, number>, text: (name: string, count: number) => string) {
  return [...counts]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, count]) => text(name, count))
    .join(', ');
}
