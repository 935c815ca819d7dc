import { timeString } from '../../api/times.ts';
import type { StorageVersionMigration } from '../../api/types.ts';

type Status = NonNullable<StorageVersionMigration['status']>;
export type Verdict = 'Running' | 'Succeeded' | 'Failed';

const REASONS: Readonly<Record<Verdict, string>> = {
  Running: 'StorageVersionMigrationInProgress',
  Succeeded: 'StorageVersionMigrationSucceeded',
  Failed: 'StorageVersionMigrationFailed',
};

/** It has succeeded or failed: nothing is done with it any more. */
export function isOver({ status }: StorageVersionMigration): boolean {
  return (status?.conditions ?? []).some(
    ({ type, status: is }) => is === 'True' && (type === 'Succeeded' || type === 'Failed'),
  );
}

/** The status that says so: of the three conditions one is true at a time. Pure. */
export function withVerdict(status: Status, verdict: Verdict, now: number, message = ''): Status {
  const known = status.conditions ?? [];
  const lastTransitionTime = timeString(now);
  const others = known
    .filter(({ type }) => type !== verdict)
    .map((condition) =>
      condition.type === 'Running' && condition.status === 'True'
        ? { ...condition, status: 'False', lastTransitionTime }
        : condition,
    );
  if (known.find(({ type }) => type === verdict)?.status === 'True') return status;
  const told = { type: verdict, status: 'True', reason: REASONS[verdict], message };
  return { ...status, conditions: [...others, { ...told, lastTransitionTime }] };
}
