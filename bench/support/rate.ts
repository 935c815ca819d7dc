export interface Rate {
  readonly done: number;
  readonly perSecond: number;
  readonly p99: number;
  readonly errors: number;
}

/** How often `clients` loops do `action` within `seconds`. `action` answers whether it went well. */
export async function rateOf(
  clients: number,
  seconds: number,
  action: (client: number, n: number) => Promise<boolean>,
): Promise<Rate> {
  const start = performance.now();
  const end = start + seconds * 1000;
  const latencies: number[] = [];
  let errors = 0;
  await Promise.all(
    Array.from({ length: clients }, async (_, client) => {
      for (let n = 0; performance.now() < end; n++) {
        const began = performance.now();
        if (!(await action(client, n).catch(() => false))) errors++;
        latencies.push(performance.now() - began);
      }
    }),
  );
  const elapsed = (performance.now() - start) / 1000;
  latencies.sort((a, b) => a - b);
  const p99 = latencies[Math.floor(latencies.length * 0.99)] ?? 0;
  const done = latencies.length;
  return { done, perSecond: done / elapsed, p99, errors };
}
