/** The value below which that share of the samples lies. */
export function percentile(samples: readonly number[], share: number): number {
  const sorted = [...samples].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}

/** `p50 12 ms, p99 40 ms`. */
export function summary(samples: readonly number[]): string {
  const ms = (share: number): string => `${percentile(samples, share).toFixed(0)} ms`;
  return `p50 ${ms(0.5)}, p99 ${ms(0.99)} of ${samples.length}`;
}
