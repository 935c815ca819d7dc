import assert from 'node:assert/strict';
import {
  type Answer,
  type NetworkWorld,
  type Place,
  type PodName,
  TIMEOUT_MS,
} from './network-world.ts';

/** How long what must come is waited for. */
export const PATIENCE_MS = 75 * TIMEOUT_MS;

/** Asks again until it holds; the last failure is what is thrown. */
export async function eventually(
  check: () => Promise<void>,
  timeoutMs = PATIENCE_MS,
): Promise<void> {
  const end = Date.now() + timeoutMs;
  for (;;) {
    try {
      return await check();
    } catch (err) {
      if (Date.now() > end) throw err;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
}

export const names = (answers: readonly Answer[]) =>
  answers.map(({ name, error }) => name ?? error ?? '');
export const unique = (answers: readonly Answer[]) => [...new Set(names(answers))].sort();

export async function answeredBy(
  world: NetworkWorld,
  from: Place,
  [host, port]: readonly [string, number],
  expected: readonly (PodName | string)[],
): Promise<void> {
  // Refusals are ICMP, which kernels answer with at a limited rate.
  const count = expected[0]?.startsWith('pod') ? expected.length * 10 : 1;
  await eventually(async () => {
    assert.deepEqual(unique(await world.tcp(from, host, port, count)), expected, from);
  });
}

/** The answers of connections that each have as long as a slow machine may need: for what is known to be reachable. */
export async function patiently(
  world: NetworkWorld,
  from: Place,
  [host, port]: readonly [string, number],
  count = 1,
): Promise<Answer[]> {
  const request = { op: 'tcp', host, port, count, timeoutMs: PATIENCE_MS } as const;
  return await world.probe<Answer[]>(from, request);
}
