import { isPodTerminal } from '../../api/pods.ts';
import type { Draft, Job, Pod } from '../../api/types.ts';
import { inexact } from '../../util/exact-json.ts';

/** Keeps a finished Pod until it has been counted (KEP-2307). */
export const TRACKING = 'batch.kubernetes.io/job-tracking';
const INDEX = 'batch.kubernetes.io/job-completion-index';
const FAILURE_COUNT = 'batch.kubernetes.io/job-index-failure-count';
const IGNORED_COUNT = 'batch.kubernetes.io/job-index-ignored-failure-count';

/** What a Pod of an index says of the Pods before it: failures that count, and those that a podFailurePolicy ignores. */
export interface IndexFailures {
  readonly counted: number;
  readonly ignored: number;
}

export function isIndexed(job: Job): boolean {
  return job.spec?.completionMode === 'Indexed';
}

export function isTracked({ metadata }: Pod): boolean {
  return metadata.finalizers?.includes(TRACKING) ?? false;
}

/** The completion index of a Pod; undefined where there is none or it makes no sense. */
export function indexOf({ metadata }: Pod): number | undefined {
  const text = metadata.annotations?.[INDEX];
  return text !== undefined && /^\d+$/.test(text) ? Number(text) : undefined;
}

/** How often the index of this Pod had failed before it. */
export function earlierFailures({ metadata }: Pod): IndexFailures {
  const number = (name: string) => Number(metadata.annotations?.[name] ?? 0) || 0;
  return { counted: number(FAILURE_COUNT), ignored: number(IGNORED_COUNT) };
}

/**
 * Milliseconds since the epoch at which a Pod ended: when its last container did; else when it was no longer ready; else
 * when it was deleted; else when it was made.
 */
export function endOf({ metadata, spec, status }: Pod): number {
  const sidecars = new Set(
    (spec?.initContainers ?? [])
      .filter(({ restartPolicy }) => restartPolicy === 'Always')
      .map(({ name }) => name),
  );
  const states = [
    ...(status?.containerStatuses ?? []),
    ...(status?.initContainerStatuses ?? []).filter(({ name }) => sidecars.has(name)),
  ].map(({ state }) => Date.parse(state?.terminated?.finishedAt ?? ''));
  if (states.length > 0 && !states.some(Number.isNaN)) return Math.max(...states);
  const ready = status?.conditions?.find(({ type }) => type === 'Ready');
  const unreadyAt = Date.parse((ready?.status === 'False' && ready.lastTransitionTime) || '');
  if (!Number.isNaN(unreadyAt)) return unreadyAt;
  const { deletionTimestamp, deletionGracePeriodSeconds = 0, creationTimestamp } = metadata;
  if (deletionTimestamp) {
    return Date.parse(deletionTimestamp) - inexact(deletionGracePeriodSeconds) * 1000;
  }
  return Date.parse(creationTimestamp);
}

export function isSucceeded(pod: Pod): boolean {
  return pod.status?.phase === 'Succeeded';
}

/** Failed, or going without having succeeded, unless the Job wants to wait for its end (KEP-3939). */
export function isFailed(job: Job, pod: Pod): boolean {
  if (pod.status?.phase === 'Failed') return true;
  if (isSucceeded(pod) || pod.metadata.deletionTimestamp === undefined) return false;
  const waits = job.spec?.podReplacementPolicy === 'Failed' || job.spec?.podFailurePolicy;
  return !waits;
}

/** Being deleted, and not yet at its end. */
export function isTerminating(pod: Pod): boolean {
  return pod.metadata.deletionTimestamp !== undefined && !isPodTerminal(pod);
}

/** What distinguishes a Job's Pod from its template. */
export function decorate(
  job: Job,
  pod: Draft<Pod>,
  index?: { value: number; failures: IndexFailures },
) {
  const { metadata } = pod;
  metadata.finalizers = [...(metadata.finalizers ?? []), TRACKING];
  if (!index) return;
  const value = String(index.value);
  metadata.generateName = `${job.metadata.name}-${value}-`;
  metadata.labels = { ...metadata.labels, [INDEX]: value };
  const counted = job.spec?.backoffLimitPerIndex !== undefined;
  metadata.annotations = {
    ...metadata.annotations,
    [INDEX]: value,
    ...(counted ? failureCounts(index.failures) : {}),
  };
  const { spec } = pod;
  if (!spec) return;
  spec.hostname ??= `${job.metadata.name}-${value}`;
  const fieldRef = { fieldPath: `metadata.labels['${INDEX}']` };
  for (const container of [...(spec.initContainers ?? []), ...spec.containers]) {
    const env = container.env ?? [];
    if (env.some(({ name }) => name === 'JOB_COMPLETION_INDEX')) continue;
    container.env = [...env, { name: 'JOB_COMPLETION_INDEX', valueFrom: { fieldRef } }];
  }
}

function failureCounts({ counted, ignored }: IndexFailures): Record<string, string> {
  return {
    [FAILURE_COUNT]: String(counted),
    ...(ignored > 0 ? { [IGNORED_COUNT]: String(ignored) } : {}),
  };
}
