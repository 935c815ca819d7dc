import type { Job, Pod } from '../../api/types.ts';

type Rule = NonNullable<NonNullable<NonNullable<Job['spec']>['podFailurePolicy']>['rules']>[number];

export type FailureVerdict =
  | { readonly action: 'Count' }
  | { readonly action: 'Ignore' }
  | { readonly action: 'FailIndex' }
  | { readonly action: 'FailJob'; readonly message: string };

/** What the first matching rule of a Job's podFailurePolicy says of a failed Pod (KEP-3329). Pure. */
export function judgeFailure(job: Job, pod: Pod): FailureVerdict {
  for (const [i, rule] of (job.spec?.podFailurePolicy?.rules ?? []).entries()) {
    const what = matchExitCodes(rule, pod) ?? matchConditions(rule, pod);
    if (what === undefined) continue;
    if (rule.action !== 'FailJob')
      return { action: rule.action as 'Count' | 'Ignore' | 'FailIndex' };
    return { action: 'FailJob', message: `${what} matching FailJob rule at index ${i}` };
  }
  return { action: 'Count' };
}

function matchExitCodes({ onExitCodes }: Rule, pod: Pod): string | undefined {
  if (!onExitCodes) return undefined;
  const { containerName, operator, values } = onExitCodes;
  const { initContainerStatuses = [], containerStatuses = [] } = pod.status ?? {};
  for (const { name, state } of [...initContainerStatuses, ...containerStatuses]) {
    if (containerName && containerName !== name) continue;
    const code = state?.terminated?.exitCode;
    if (code === undefined || code === 0) continue;
    if (values.includes(code) !== (operator === 'In')) continue;
    const { namespace, name: podName } = pod.metadata;
    return `Container ${name} for pod ${namespace}/${podName} failed with exit code ${code}`;
  }
  return undefined;
}

function matchConditions({ onPodConditions }: Rule, pod: Pod): string | undefined {
  for (const { type, status = 'True' } of onPodConditions ?? []) {
    const found = pod.status?.conditions?.some((c) => c.type === type && c.status === status);
    if (found) return `Pod ${pod.metadata.namespace}/${pod.metadata.name} has condition ${type}`;
  }
  return undefined;
}
