/** --audit-webhook-batch-… and --audit-webhook-initial-backoff. */
export interface AuditBatches {
  /** How many events may wait. */
  readonly buffer: number;
  readonly size: number;
  readonly waitMs: number;
  readonly backoffMs: number;
}

export const DEFAULT_BATCHES: AuditBatches = {
  buffer: 10_000,
  size: 400,
  waitMs: 30_000,
  backoffMs: 10_000,
};
