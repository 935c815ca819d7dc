import { errorMessage } from '../util/errors.ts';

/** One named check of /livez, /readyz and /healthz. */
export interface HealthCheck {
  readonly name: string;
  /** Throws when unhealthy. */
  check(): void | Promise<void>;
}

export interface HealthAnswer {
  readonly code: number;
  readonly body: string;
}

/** `ok`, or with `verbose` or on failure one line per check, as upstream's components answer. */
export async function healthAnswer(
  endpoint: string,
  checks: readonly HealthCheck[],
  query: URLSearchParams,
): Promise<HealthAnswer> {
  const excluded = new Set(query.getAll('exclude'));
  const lines: string[] = [];
  let failed = false;
  for (const { name, check } of checks) {
    if (excluded.delete(name)) {
      lines.push(`[+]${name} excluded: ok`);
      continue;
    }
    try {
      await check();
      lines.push(`[+]${name} ok`);
    } catch (err) {
      failed = true;
      lines.push(
        `[-]${name} failed: ${query.has('verbose') ? errorMessage(err) : 'reason withheld'}`,
      );
    }
  }
  if (excluded.size > 0) {
    const unknown = [...excluded].map((name) => JSON.stringify(name)).join(', ');
    lines.push(`warn: some health checks cannot be excluded: no matches for ${unknown}`);
  }
  if (failed) return { code: 500, body: `${lines.join('\n')}\n${endpoint} check failed\n` };
  if (!query.has('verbose')) return { code: 200, body: 'ok' };
  return { code: 200, body: `${lines.join('\n')}\n${endpoint} check passed\n` };
}
