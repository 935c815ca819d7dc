import { isPodTerminal } from '../../api/pods.ts';
import type { Draft, Job, Pod } from '../../api/types.ts';

/** Keeps a finished Pod until it has been counted (KEP-2307). */
export const TRACKING = 'batch.kubernetes.io/job-tracking';
const INDEX = 'batch.kubernetes.io/job-completion-index';
const FAILURE_COUNT = 'batch.kubernetes.io/job-index-failure-count';

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
export function earlierFailures({ metadata }: Pod): number {
  return Number(metadata.annotations?.[FAILURE_COUNT] ?? 0) || 0;
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
export function decorate(job: Job, pod: Draft<Pod>, index?: { value: number; failures: number }) {
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
    ...(counted ? { [FAILURE_COUNT]: String(index.failures) } : {}),
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
