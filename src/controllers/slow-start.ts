/**
 * Does `count` like things in batches of 1, 2, 4, …, and stops after the first batch with a failure: what fails once
 * (quota, admission) would fail a thousand times. Answers how many succeeded, and the first failure.
 */
export async function slowStart(
  count: number,
  act: (index: number) => Promise<void>,
): Promise<{ done: number; failure: unknown }> {
  let done = 0;
  let next = 0;
  for (let batch = 1; next < count; batch *= 2) {
    const size = Math.min(batch, count - next);
    const indexes = Array.from({ length: size }, (_, i) => next + i);
    const results = await Promise.allSettled(indexes.map(act));
    next += size;
    done += results.filter((result) => result.status === 'fulfilled').length;
    const failed = results.find((result) => result.status === 'rejected');
    if (failed) return { done, failure: failed.reason };
  }
  return { done, failure: undefined };
}
